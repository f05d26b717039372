/** Boxes, and the plane-to-plane maps (homographies) by which a match is laid onto the query. */

import type { Box, Corner, Size } from "./api";

/** A 3 x 3 matrix, row by row. */
export type Homography = [number, number, number, number, number, number, number, number, number];

type Corners = [Corner, Corner, Corner, Corner];

export function cornersOf([x1, y1, x2, y2]: Box): Corners {
  return [
    [x1, y1],
    [x2, y1],
    [x2, y2],
    [x1, y2],
  ];
}

export function whole([width, height]: Size): Box {
  return [0, 0, width, height];
}

/** A box in the middle of a picture, beside those that are there, so that it is not mistaken for one of them. */
export function boxInMiddle([width, height]: Size, there = 0): Box {
  const shift = (there % 4) * 0.06;
  return [0.25 + shift, 0.25 + shift, 0.65 + shift, 0.65 + shift].map((part, place) => Math.round(part * (place % 2 ? height : width))) as Box;
}

/** A box within a picture: whole pixels, at least `least` of them each way. */
export function within([x1, y1, x2, y2]: Box, [width, height]: Size, least = 8): Box {
  const place = (from: number, to: number, end: number): [number, number] => {
    const room = Math.min(least, end);
    const low = Math.max(0, Math.min(Math.round(Math.min(from, to)), end - room));
    return [low, Math.min(end, Math.max(low + room, Math.round(Math.max(from, to))))];
  };
  const [left, right] = place(x1, x2, width);
  const [top, bottom] = place(y1, y2, height);
  return [left, top, right, bottom];
}

/** A box moved, its size kept, within the picture. */
export function moved([x1, y1, x2, y2]: Box, dx: number, dy: number, [width, height]: Size): Box {
  const across = Math.max(-x1, Math.min(Math.round(dx), width - x2));
  const down = Math.max(-y1, Math.min(Math.round(dy), height - y2));
  return [x1 + across, y1 + down, x2 + across, y2 + down];
}

/**
 * The outlines that tell where a thing is. That of a whole picture lies all about, and half of it beside the hit: a
 * line that cuts off a corner tells nothing, nor does one that goes round nearly all of it: they are left out.
 */
export function telling<T extends { corners: Corners }>(outlines: T[], [width, height]: Size, region: boolean): T[] {
  if (region) return outlines;
  const inside = ([x, y]: Corner) => x > -0.04 * width && x < 1.04 * width && y > -0.04 * height && y < 1.04 * height;
  const area = (corners: Corners) =>
    Math.abs(corners.reduce((sum, [x, y], place) => sum + x * corners[(place + 1) % 4]![1] - corners[(place + 1) % 4]![0] * y, 0)) / 2;
  return outlines.filter(({ corners }) => corners.filter(inside).length >= 3 && area(corners) < 0.85 * width * height);
}

export function sameBox(one: Box, other: Box): boolean {
  return one.every((value, place) => value === other[place]);
}

/** From the unit square to four corners, clockwise from the top left (Heckbert 1989, section 2.2.3). */
function fromSquare([[x0, y0], [x1, y1], [x2, y2], [x3, y3]]: Corners): Homography | null {
  const [dx1, dx2, sx] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3];
  const [dy1, dy2, sy] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  const area = dx1 * dy2 - dx2 * dy1;
  if (!Number.isFinite(area) || Math.abs(area) < 1e-9) return null;
  const g = (sx * dy2 - dx2 * sy) / area;
  const h = (dx1 * sy - sx * dy1) / area;
  return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
}

function adjugate([a, b, c, d, e, f, g, h, i]: Homography): Homography {
  return [
    e * i - f * h, c * h - b * i, b * f - c * e,
    f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d,
  ];
}

export function times(one: Homography, other: Homography): Homography {
  const [a, b, c, d, e, f, g, h, i] = one;
  const [j, k, l, m, n, o, p, q, r] = other;
  return [
    a * j + b * m + c * p, a * k + b * n + c * q, a * l + b * o + c * r,
    d * j + e * m + f * p, d * k + e * n + f * q, d * l + e * o + f * r,
    g * j + h * m + i * p, g * k + h * n + i * q, g * l + h * o + i * r,
  ];
}

/** The map that takes four corners to four others; null where three of them lie on a line. */
export function mapping(from: Corners, to: Corners): Homography | null {
  const [back, forth] = [fromSquare(from), fromSquare(to)];
  if (!back || !forth) return null;
  const map = times(forth, adjugate(back));
  // The sign is that which has the corners before the viewer, not behind.
  const [x, y] = from[0];
  return map[6] * x + map[7] * y + map[8] < 0 ? (map.map((value) => -value) as Homography) : map;
}

export function mapped(map: Homography, [x, y]: Corner): Corner {
  const depth = map[6] * x + map[7] * y + map[8];
  return [(map[0] * x + map[1] * y + map[2]) / depth, (map[3] * x + map[4] * y + map[5]) / depth];
}

/** As CSS has it: column by column, with a third axis that nothing happens on. */
export function matrix3d([a, b, c, d, e, f, g, h, i]: Homography): string {
  const scale = Math.abs(i) > 1e-12 ? i : 1;
  const values = [a, d, 0, g, b, e, 0, h, 0, 0, 1, 0, c, f, 0, i].map((value) => value / scale);
  values[10] = 1;
  return `matrix3d(${values.map((value) => value.toFixed(10)).join(",")})`;
}
