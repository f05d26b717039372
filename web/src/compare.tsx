/** One hit beside the query: outlines, matching points, both pictures moved together, one laid over the other. */

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Hit, type Mark, type Outline, type Part, type SearchResult, type Size, api } from "./api";
import { About } from "./about";
import { type Homography, cornersOf, mapped, mapping, matrix3d, times, whole } from "./geometry";
import { VerdictWords, outlinesOf } from "./hits";
import { Dialog, Menu, writes } from "./parts";
import { useShown } from "./query";
import { fileName, number, titleOf } from "./words";

type Lines = "some" | "all" | "off";
const LINES: Record<Lines, string> = { some: "some", all: "all", off: "none" };
const NEXT: Record<Lines, Lines> = { some: "all", all: "off", off: "some" };
/** So many lines are easy to follow; they are those of the most similar points. */
const SOME = 16;
const FARTHEST = 1;
const NEAREST = 16;
const HELD = 350;

interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Where a picture lies in its pane: a pixel of it at (x, y) is shown at (left + x * scale, top + y * scale). */
interface Placed {
  scale: number;
  left: number;
  top: number;
}

/** Zoom and middle, both as the query has them; the hit follows. */
interface Look {
  zoom: number;
  /** Of the query's pixels; null for the picture's middle. */
  middle: [number, number] | null;
}

const WHOLE: Look = { zoom: 1, middle: null };

function placed(size: Size, pane: Rect, look: { zoom: number; middle: [number, number] }): Placed {
  const [width, height] = size;
  const scale = Math.min(pane.width / width, pane.height / height) * look.zoom;
  // A picture that is smaller than its pane lies in the middle; a larger one leaves no gap.
  const along = (middle: number, whole: number, room: number) =>
    whole * scale <= room ? (room - whole * scale) / 2 : Math.min(0, Math.max(room - whole * scale, room / 2 - middle * scale));
  return { scale, left: along(look.middle[0], width, pane.width), top: along(look.middle[1], height, pane.height) };
}

function middleOf(size: Size): [number, number] {
  return [size[0] / 2, size[1] / 2];
}

function shifted(at: Placed, [x, y]: [number, number]): [number, number] {
  return [at.left + x * at.scale, at.top + y * at.scale];
}

export interface CompareProps {
  collection: string;
  hit: Hit;
  hits: Hit[];
  result: SearchResult;
  query: Part[];
  onOpen: (picture: string | null) => void;
  onSearch: (hit: Hit, all: boolean) => void;
  onMark: ((picture: string, mark: Mark | null) => void) | null;
}

export function Compare(props: CompareProps) {
  const { collection, hit, hits, result, query } = props;
  const outline: Outline | undefined = hit.outlines[0];
  const place = outline?.query_picture ?? 0;
  const part = query[place] ?? query[0] ?? null;
  const shown = useShown(collection, part);
  const querySize: Size | null = result.query[place]?.size ?? shown?.size ?? null;
  const region = part?.region ?? (querySize ? whole(querySize) : null);
  const [lines, setLines] = useState<Lines>("some");
  const [over, setOver] = useState(false);
  const [heat, setHeat] = useState(false);
  const [self, setSelf] = useState(0);
  const [difference, setDifference] = useState(false);
  const [look, setLook] = useState<Look>(WHOLE);
  const [panes, setPanes] = useState<{ query: Rect; hit: Rect; both: Rect } | null>(null);
  const both = useRef<HTMLDivElement>(null);
  const queryPane = useRef<HTMLDivElement>(null);
  const hitPane = useRef<HTMLDivElement>(null);

  /** From the query's pixels to the hit's, where that is known. */
  const forth = useMemo(() => (outline && region ? mapping(cornersOf(region), outline.corners) : null), [outline, region?.join()]);
  const back = useMemo(() => (outline && region ? mapping(outline.corners, cornersOf(region)) : null), [outline, region?.join()]);

  useEffect(() => {
    setLook(WHOLE);
    setOver(false);
  }, [hit.picture.id]);

  useLayoutEffect(() => {
    const measure = () => {
      const [all, one, other] = [both, queryPane, hitPane].map(({ current }) => current?.getBoundingClientRect());
      if (all && one && other)
        setPanes({
          both: { x: 0, y: 0, width: all.width, height: all.height },
          query: { x: one.x - all.x, y: one.y - all.y, width: one.width, height: one.height },
          hit: { x: other.x - all.x, y: other.y - all.y, width: other.width, height: other.height },
        });
    };
    measure();
    const observer = new ResizeObserver(measure);
    for (const { current } of [both, queryPane, hitPane]) if (current) observer.observe(current);
    return () => observer.disconnect();
  }, [querySize?.join()]);

  useEffect(() => {
    if (!self || !back) return;
    const timer = setInterval(() => setOver((now) => !now), self);
    return () => clearInterval(timer);
  }, [self, back]);

  const queryMiddle = look.middle ?? (querySize ? middleOf(querySize) : null);
  const hitMiddle = useMemo((): [number, number] => {
    const size = hit.picture.size;
    if (!look.middle || !querySize) return middleOf(size);
    const there = forth && mapped(forth, look.middle);
    if (there?.every(Number.isFinite)) return there;
    return [(look.middle[0] / querySize[0]) * size[0], (look.middle[1] / querySize[1]) * size[1]];
  }, [look.middle, forth, hit.picture.id, querySize?.join()]);
  const at =
    panes && querySize && queryMiddle
      ? {
          query: placed(querySize, panes.query, { zoom: look.zoom, middle: queryMiddle }),
          hit: placed(hit.picture.size, panes.hit, { zoom: look.zoom, middle: hitMiddle }),
        }
      : null;

  /** Zooms by a factor so that what is under a point of a pane stays there, then moves it by some pixels of the screen. */
  const change = (which: "query" | "hit", factor: number, x: number, y: number, dx: number, dy: number) => {
    if (!at || !panes || !querySize) return;
    const zoom = Math.min(NEAREST, Math.max(FARTHEST, look.zoom * factor));
    const real = zoom / look.zoom;
    const now = at[which];
    const pane = panes[which];
    const middle: [number, number] = [
      (x - now.left) / now.scale + (pane.width / 2 - x - dx) / (now.scale * real),
      (y - now.top) / now.scale + (pane.height / 2 - y - dy) / (now.scale * real),
    ];
    let wanted = middle;
    if (which === "hit") {
      const there = back && mapped(back, middle);
      const [width, height] = hit.picture.size;
      wanted = there?.every(Number.isFinite)
        ? there
        : [(middle[0] / width) * querySize[0], (middle[1] / height) * querySize[1]];
    }
    const inside = (value: number, end: number) => Math.min(end, Math.max(0, value));
    setLook({ zoom, middle: zoom === 1 ? null : [inside(wanted[0], querySize[0]), inside(wanted[1], querySize[1])] });
  };
  const closer = (factor: number) => {
    const pane = panes?.query;
    if (!pane || !querySize) return;
    // From the whole picture on, what is searched for comes to the middle.
    const aim: [number, number] | null = region && look.zoom === 1 ? [(region[0] + region[2]) / 2, (region[1] + region[3]) / 2] : look.middle;
    const zoom = Math.min(NEAREST, Math.max(FARTHEST, look.zoom * factor));
    setLook({ zoom, middle: zoom === 1 ? null : aim });
  };

  const index = hits.findIndex(({ picture }) => picture.id === hit.picture.id);
  const [before, after] = [hits[index - 1], hits[index + 1]];
  const mark = (wanted: Mark | null) => props.onMark?.(hit.picture.id, wanted === hit.mark ? null : wanted);

  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
      const keys: Record<string, () => void> = {
        ArrowLeft: () => before && props.onOpen(before.picture.id),
        ArrowRight: () => after && props.onOpen(after.picture.id),
        "+": () => closer(1.5),
        "=": () => closer(1.5),
        "-": () => closer(1 / 1.5),
        f: () => back && setOver((now) => !now),
        l: () => setLines((now) => NEXT[now]),
        1: () => props.onMark?.(hit.picture.id, "right"),
        2: () => props.onMark?.(hit.picture.id, "wrong"),
        0: () => props.onMark?.(hit.picture.id, null),
      };
      const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  const pressed = useRef({ at: 0, was: false });
  const name = fileName(hit.picture.name);
  const pairs = hit.outlines.filter((item) => item.query_picture === place).flatMap((item) => item.matching_points ?? []);
  const drawnPairs = lines === "off" ? [] : lines === "all" ? pairs : spread(pairs, SOME);
  const classes = result.classes.slice(0, 8).map(({ id }) => id);
  const points = hit.outlines.reduce((sum, item) => sum + item.points, 0);

  return (
    <Dialog name={`${name} beside what was searched for`} class="compare" onClose={() => props.onOpen(null)}>
      <header class="row">
        <button type="button" onClick={() => props.onOpen(null)}>
          <span aria-hidden="true">‹</span> Back
        </button>
        <h1>
          <span class="rank">{hit.rank}</span> <VerdictWords hit={hit} checking={false} />{" "}
          <span class="name">{titleOf(hit.picture)}</span>
        </h1>
        <span class="end row tight">
          {props.onMark && (
            <>
              <button type="button" aria-pressed={hit.mark === "right"} aria-label="Right" title="Key 1" onClick={() => mark("right")}>
                <span aria-hidden="true">✓</span> <span class="label">Right</span>
              </button>
              <button type="button" aria-pressed={hit.mark === "wrong"} aria-label="Wrong" title="Key 2" onClick={() => mark("wrong")}>
                <span aria-hidden="true">✗</span> <span class="label">Wrong</span>
              </button>
            </>
          )}
          <button type="button" class="icon" aria-label="The one before" disabled={!before} onClick={() => before && props.onOpen(before.picture.id)}>
            <span aria-hidden="true">←</span>
          </button>
          <button type="button" class="icon" aria-label="The next one" disabled={!after} onClick={() => after && props.onOpen(after.picture.id)}>
            <span aria-hidden="true">→</span>
          </button>
        </span>
      </header>
      <div class="panes" ref={both}>
        <Pane
          name="What is searched for"
          pane={queryPane}
          onChange={(...how) => change("query", ...how)}
        >
          {at && shown && querySize && <Laid url={shown.url} size={querySize} at={at.query} name="What is searched for" />}
          {at && back && querySize && (over || self > 0) && (
            <img
              class={`laid over ${over ? "" : "away"} ${difference ? "difference" : ""}`}
              src={api.view(collection, hit.picture.id)}
              alt={`${name}, laid over it`}
              draggable={false}
              style={warp(hit.picture.size, back, at.query)}
            />
          )}
          {at && part?.region && <Frame at={at.query} pane={panes?.query} outlines={[{ corners: cornersOf(part.region) }]} />}
        </Pane>
        <Pane name="What was found" pane={hitPane} onChange={(...how) => change("hit", ...how)}>
          {at && <Laid url={api.view(collection, hit.picture.id)} instead={api.thumbnail(collection, hit.picture.id)} size={hit.picture.size} at={at.hit} name={name} />}
          {at && heat && classes.length > 0 && (
            <Laid url={api.heat(collection, hit.picture.id, classes)} size={hit.picture.size} at={at.hit} name="Where the network looks" class="heat" />
          )}
          {at && <Frame at={at.hit} pane={panes?.hit} outlines={outlinesOf(hit, query)} />}
        </Pane>
        {at && panes && !over && drawnPairs.length > 0 && (
          <svg class="pairs" viewBox={`0 0 ${panes.both.width} ${panes.both.height}`} aria-hidden="true">
            {drawnPairs.map(([xq, yq, xh, yh], number) => {
              const from = shifted(at.query, [xq, yq]);
              const onto = shifted(at.hit, [xh, yh]);
              if (!inPane(from, panes.query) || !inPane(onto, panes.hit)) return null;
              const [x1, y1, x2, y2] = [from[0] + panes.query.x, from[1] + panes.query.y, onto[0] + panes.hit.x, onto[1] + panes.hit.y];
              return (
                <g class={`pair hue-${number % 6}`}>
                  <line x1={x1} y1={y1} x2={x2} y2={y2} />
                  <circle cx={x1} cy={y1} r="3" />
                  <circle cx={x2} cy={y2} r="3" />
                </g>
              );
            })}
          </svg>
        )}
      </div>
      <footer class="row">
        <span class="row tight">
          <button type="button" class="icon" aria-label="Farther" disabled={look.zoom <= FARTHEST} onClick={() => closer(1 / 1.5)}>
            <span aria-hidden="true">−</span>
          </button>
          <button type="button" class="icon" aria-label="Closer" disabled={look.zoom >= NEAREST} onClick={() => closer(1.5)}>
            <span aria-hidden="true">+</span>
          </button>
        </span>
        {back && (
          <button
            type="button"
            aria-pressed={over}
            title="Key F; hold it down for a moment's look"
            onPointerDown={() => {
              pressed.current = { at: performance.now(), was: over };
              setOver(true);
            }}
            onPointerCancel={() => setOver(pressed.current.was)}
            onClick={(event) => {
              const { at: since, was } = pressed.current;
              if (event.detail === 0) setOver(!over); // by a key
              else setOver(performance.now() - since > HELD ? false : !was);
            }}
            onContextMenu={(event) => event.preventDefault()}
          >
            Lay it over yours
          </button>
        )}
        {pairs.length > 0 && (
          <label class="row tight">
            Lines
            <select value={lines} onChange={(event) => setLines(event.currentTarget.value as Lines)}>
              {(Object.keys(LINES) as Lines[]).map((choice) => (
                <option value={choice}>{LINES[choice]}</option>
              ))}
            </select>
          </label>
        )}
        <Menu label="More">
          {classes.length > 0 && (
            <label class="check">
              <input type="checkbox" checked={heat} onChange={() => setHeat(!heat)} />
              Where the network looks
            </label>
          )}
          {back && (
            <label class="check">
              <input type="checkbox" checked={difference} onChange={() => (setDifference(!difference), setOver(!difference))} />
              Only what differs
            </label>
          )}
          {back && (
            <label class="slider">
              Lay over and take off by itself
              <select value={self} onChange={(event) => setSelf(Number(event.currentTarget.value))}>
                <option value={0}>no</option>
                <option value={500}>every half second</option>
                <option value={1000}>every second</option>
                <option value={2000}>every two seconds</option>
              </select>
            </label>
          )}
          <About collection={collection} picture={hit.picture} />
          <p class="quiet">{hit.verdict?.reason || (points > 0 && `${number(points)} points agree`)}</p>
          <details>
            <summary>Scores</summary>
            <ul class="scores">
              {hit.evidence.map((item) => (
                <li>
                  {item.stage}: {item.score === null ? "nothing to compare" : item.score.toFixed(3)}
                </li>
              ))}
            </ul>
          </details>
        </Menu>
        <span class="end row tight">
          {outline && (
            <button type="button" class="strong" onClick={() => props.onSearch(hit, false)}>
              Search for this
            </button>
          )}
          <button type="button" onClick={() => props.onSearch(hit, true)}>
            <span class="long">Search this whole picture</span>
            <span class="short">Whole picture</span>
          </button>
        </span>
      </footer>
    </Dialog>
  );
}

/** Some of many, evenly from the most similar on. */
function spread<T>(all: T[], count: number): T[] {
  if (all.length <= count) return all;
  return Array.from({ length: count }, (_, place) => all[Math.floor((place * all.length) / count)] as T);
}

function inPane([x, y]: [number, number], { width, height }: Rect): boolean {
  return x >= 0 && y >= 0 && x <= width && y <= height;
}

/** The style of a hit's picture that lies over the query's as the outline says. */
function warp(size: Size, back: Homography, at: Placed): Record<string, string> {
  const shrunk = Math.min(1, 1600 / Math.max(...size));
  const pixels: Homography = [1 / shrunk, 0, 0, 0, 1 / shrunk, 0, 0, 0, 1];
  const pane: Homography = [at.scale, 0, at.left, 0, at.scale, at.top, 0, 0, 1];
  return {
    width: `${size[0] * shrunk}px`,
    height: `${size[1] * shrunk}px`,
    transform: matrix3d(times(pane, times(back, pixels))),
  };
}

function Laid(props: { url: string; instead?: string; size: Size; at: Placed; name: string; class?: string }) {
  const { at, size } = props;
  return (
    <img
      class={`laid ${props.class ?? ""}`}
      src={props.url}
      alt={props.name}
      draggable={false}
      onError={(event) => {
        // Its file has gone: what is stored of it is small, but there.
        const { currentTarget: picture } = event;
        if (props.instead && !picture.src.endsWith(props.instead)) picture.src = props.instead;
      }}
      style={{ width: `${size[0] * at.scale}px`, height: `${size[1] * at.scale}px`, transform: `translate(${at.left}px, ${at.top}px)` }}
    />
  );
}

function Frame({ at, pane, outlines }: { at: Placed; pane: Rect | undefined; outlines: Pick<Outline, "corners">[] }) {
  if (!pane) return null;
  return (
    <svg class="outlines" viewBox={`0 0 ${pane.width} ${pane.height}`} aria-hidden="true">
      {outlines.map(({ corners }) => {
        const points = corners.map((corner) => shifted(at, corner).join(",")).join(" ");
        return (
          <g>
            <polygon class="edge" points={points} />
            <polygon class="line" points={points} />
          </g>
        );
      })}
    </svg>
  );
}

/** A pane that is moved by dragging and zoomed by wheel, pinch and double click. */
function Pane(props: {
  name: string;
  pane: { current: HTMLDivElement | null };
  onChange: (factor: number, x: number, y: number, dx: number, dy: number) => void;
  children: ComponentChildren;
}) {
  const change = useRef(props.onChange);
  change.current = props.onChange;
  const down = useRef(new Map<number, [number, number]>());
  useEffect(() => {
    const pane = props.pane.current;
    if (!pane) return;
    const here = (event: MouseEvent): [number, number] => {
      const { x, y } = pane.getBoundingClientRect();
      return [event.clientX - x, event.clientY - y];
    };
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      change.current(Math.exp(-event.deltaY / 400), ...here(event), 0, 0);
    };
    const press = (event: PointerEvent) => {
      pane.setPointerCapture(event.pointerId);
      down.current.set(event.pointerId, here(event));
    };
    const move = (event: PointerEvent) => {
      const was = down.current.get(event.pointerId);
      if (!was) return;
      const now = here(event);
      const other = [...down.current].find(([id]) => id !== event.pointerId)?.[1];
      down.current.set(event.pointerId, now);
      if (!other) return change.current(1, ...now, now[0] - was[0], now[1] - was[1]);
      const apart = (one: [number, number]) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      change.current(apart(now) / apart(was), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2, (now[0] - was[0]) / 2, (now[1] - was[1]) / 2);
    };
    const up = (event: PointerEvent) => void down.current.delete(event.pointerId);
    const twice = (event: MouseEvent) => change.current(2, ...here(event), 0, 0);
    pane.addEventListener("wheel", wheel, { passive: false });
    pane.addEventListener("pointerdown", press);
    pane.addEventListener("pointermove", move);
    pane.addEventListener("pointerup", up);
    pane.addEventListener("pointercancel", up);
    pane.addEventListener("dblclick", twice);
    return () => {
      pane.removeEventListener("wheel", wheel);
      pane.removeEventListener("pointerdown", press);
      pane.removeEventListener("pointermove", move);
      pane.removeEventListener("pointerup", up);
      pane.removeEventListener("pointercancel", up);
      pane.removeEventListener("dblclick", twice);
    };
  }, []);
  return (
    <figure class="pane" aria-label={props.name}>
      <div class="room" ref={props.pane}>
        {props.children}
      </div>
    </figure>
  );
}
