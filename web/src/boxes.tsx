/**
 * Boxes drawn on a picture: Annotorious for mouse and touch, and for the keyboard a button over each box.
 *
 * Annotorious edits with pointers alone, and draws nothing while a box is selected: what is missing stands here.
 */

import { type ImageAnnotation, type ImageAnnotator, type RectangleGeometry, ShapeType, createImageAnnotator } from "@annotorious/annotorious";
import "@annotorious/annotorious/annotorious.css";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Box, Size } from "./api";
import { moved, sameBox, within } from "./geometry";

/** Smaller ones on the screen are a click that slipped. */
const LEAST_ON_SCREEN = 10;

/** Ids of boxes that came from elsewhere. */
let made = 0;

type Drawing = Pick<ImageAnnotator, "state" | "element" | "destroy" | "setSelected" | "cancelSelected" | "cancelDrawing">;

type Origin = Parameters<Drawing["state"]["store"]["addAnnotation"]>[1];

/** The library stumbles where something changes so soon (ms) after the page's start: its history takes it for one with what was before. */
const BEGUN = 300;

/** Boxes from the address or the keyboard, which no history is to keep. */
const ELSEWHERE = "REMOTE" as unknown as Origin;

function drawn(id: string, [x1, y1, x2, y2]: Box, scale: number): ImageAnnotation {
  const [minX, minY, maxX, maxY] = [x1 * scale, y1 * scale, x2 * scale, y2 * scale];
  const geometry = { x: minX, y: minY, w: maxX - minX, h: maxY - minY, rot: 0, bounds: { minX, minY, maxX, maxY } };
  return { id, bodies: [], target: { annotation: id, selector: { type: ShapeType.RECTANGLE, geometry } } };
}

function boxOf(annotation: ImageAnnotation, scale: number): Box {
  const { x, y, w, h } = annotation.target.selector.geometry as RectangleGeometry;
  return [x / scale, y / scale, (x + w) / scale, (y + h) / scale];
}

/** What the library makes is for pointers: screen readers and the Tab key have the buttons. */
function keepFromKeyboard(layer: Element): MutationObserver {
  const hide = () => {
    layer.setAttribute("tabindex", "-1");
    layer.setAttribute("aria-hidden", "true");
    for (const handle of layer.querySelectorAll('[tabindex="0"]')) handle.setAttribute("tabindex", "-1");
  };
  hide();
  const observer = new MutationObserver(hide);
  observer.observe(layer, { childList: true, subtree: true });
  return observer;
}

/** Lets a drag that starts beside the selected box draw another one, which the library does only once none is. */
function drawBeside(annotator: Drawing, layer: SVGSVGElement): void {
  let own = false;
  layer.addEventListener(
    "pointerdown",
    (event) => {
      if (own || (event.target as Element).closest(".a9s-annotation.selected")) return;
      // Held, so that a drag that leaves the picture ends at its edge.
      layer.setPointerCapture(event.pointerId);
      if (!annotator.state.selection.selected?.length) return;
      event.stopImmediatePropagation();
      annotator.cancelSelected();
      setTimeout(() => {
        own = true;
        layer.dispatchEvent(new PointerEvent("pointerdown", event));
        own = false;
      });
    },
    true,
  );
}

/** One finger draws, so two move the picture, or the page where all of the picture is in sight. */
function moveByTwoFingers(annotator: Drawing, layer: SVGSVGElement): void {
  const fingers = new Map<number, [number, number]>();
  let moving = false;
  const take = (event: PointerEvent) => {
    if (event.pointerType !== "touch") return;
    if (event.type === "pointerdown") {
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      if (fingers.size === 2) {
        moving = true;
        annotator.cancelDrawing();
      }
    } else if (event.type === "pointermove") {
      const was = fingers.get(event.pointerId);
      if (!was || !moving) return;
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      const scroller = layer.closest<HTMLElement>(".scroller");
      const large = scroller && scroller.scrollWidth + scroller.scrollHeight > scroller.clientWidth + scroller.clientHeight;
      (large ? scroller : window).scrollBy((was[0] - event.clientX) / 2, (was[1] - event.clientY) / 2);
    } else fingers.delete(event.pointerId);
    if (moving) event.stopImmediatePropagation();
    if (!fingers.size) moving = false;
  };
  for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"] as const)
    layer.addEventListener(name, take, true);
}

export interface BoxesProps {
  url: string;
  name: string;
  /** The original's; null until it is known, and then the picture's own. */
  size: Size | null;
  boxes: Box[];
  zoom: number;
  onChange: (boxes: Box[]) => void;
  onSize?: (size: Size) => void;
  onUnreadable?: () => void;
}

export function Boxes(props: BoxesProps) {
  const place = useRef<HTMLDivElement>(null);
  const buttons = useRef<HTMLDivElement>(null);
  const annotator = useRef<Drawing | null>(null);
  const ids = useRef<string[]>([]);
  const own = useRef(false);
  const latest = useRef(props);
  /** Whether the box was drawn by a pointer: then corners to drag are wanted, and no ring around them. */
  const [byPointer, setByPointer] = useState(false);
  const [natural, setNatural] = useState<Size | null>(null);
  latest.current = props;
  const size = props.size ?? natural;
  const scale = natural && size ? natural[0] / size[0] : 1;
  const scaleNow = useRef(scale);
  scaleNow.current = scale;

  useEffect(() => {
    const frame = place.current;
    if (!frame) return;
    const picture = new Image();
    picture.alt = latest.current.name;
    picture.draggable = false;
    let watch: MutationObserver | null = null;
    let drawing: Drawing | null = null;
    let starting = 0;
    picture.onload = () => {
      const found: Size = [picture.naturalWidth, picture.naturalHeight];
      latest.current.onSize?.(found);
      const early = BEGUN - performance.now();
      if (early > 0) starting = window.setTimeout(begin, early);
      else begin();
    };
    const begin = () => {
      const found: Size = [picture.naturalWidth, picture.naturalHeight];
      setNatural(found);
      const fresh = createImageAnnotator(picture, { drawingMode: "drag", theme: "light" });
      annotator.current = drawing = fresh;
      const layer = fresh.element.querySelector("svg");
      if (layer) {
        watch = keepFromKeyboard(layer);
        moveByTwoFingers(fresh, layer);
        drawBeside(fresh, layer);
      }
      const { store } = fresh.state;
      store.observe((event) => {
        if (own.current) return;
        const { created, updated, deleted } = event.changes;
        if (!created?.length && !updated?.length && !deleted?.length) return;
        const all = store.all() as ImageAnnotation[];
        const real = all.filter((annotation) => {
          if (!created?.some(({ id }) => id === annotation.id)) return true;
          const [x1, y1, x2, y2] = boxOf(annotation, 1);
          const shown = picture.getBoundingClientRect().width / picture.naturalWidth;
          return Math.min(x2 - x1, y2 - y1) * shown >= LEAST_ON_SCREEN;
        });
        const slips = all.filter((annotation) => !real.includes(annotation));
        if (slips.length) setTimeout(() => slips.forEach(({ id }) => store.deleteAnnotation(id)));
        ids.current = real.map(({ id }) => id);
        const bounds = latest.current.size ?? found;
        latest.current.onChange(real.map((annotation) => within(boxOf(annotation, scaleNow.current), bounds)));
        const last = created?.[0] ? ids.current.indexOf(created[0].id) : -1;
        // So that arrow keys work at once on what was drawn just now.
        if (last >= 0) requestAnimationFrame(() => buttonOf(last)?.focus({ preventScroll: true }));
      });
    };
    picture.onerror = () => latest.current.onUnreadable?.();
    picture.src = props.url;
    frame.replaceChildren(picture);
    return () => {
      picture.onload = picture.onerror = null;
      clearTimeout(starting);
      watch?.disconnect();
      drawing?.destroy();
      annotator.current = null;
      ids.current = [];
      frame.replaceChildren();
    };
  }, [props.url]);

  // What came from elsewhere (the keyboard, the address) is drawn as well.
  useLayoutEffect(() => {
    const drawing = annotator.current;
    if (!drawing || !natural || !size) return;
    const { store } = drawing.state;
    own.current = true;
    try {
      const wanted = props.boxes;
      for (const old of store.all()) if (!ids.current.slice(0, wanted.length).includes(old.id)) store.deleteAnnotation(old.id, ELSEWHERE);
      ids.current = wanted.map((box, index) => {
        const id = ids.current[index] ?? `box-${(made += 1)}`;
        const known = store.getAnnotation(id) as ImageAnnotation | undefined;
        if (!known) store.addAnnotation(drawn(id, box, scale), ELSEWHERE);
        else if (!sameBox(within(boxOf(known, scale), size), box)) store.updateTarget(drawn(id, box, scale).target, ELSEWHERE);
        return id;
      });
    } finally {
      own.current = false;
    }
  }, [props.boxes, natural, size, scale]);

  const buttonOf = (index: number) => buttons.current?.querySelectorAll("button")[index];

  const onKey = (event: KeyboardEvent, index: number) => {
    const box = props.boxes[index];
    if (!box || !size || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = Math.max(1, Math.round(Math.max(...size) / 100));
    const across = { ArrowLeft: -step, ArrowRight: step }[event.key] ?? 0;
    const down = { ArrowUp: -step, ArrowDown: step }[event.key] ?? 0;
    if (across || down) {
      const [x1, y1, x2, y2] = box;
      const changed = event.shiftKey
        ? within([x1, y1, Math.max(x1 + 8, x2 + across), Math.max(y1 + 8, y2 + down)], size)
        : moved(box, across, down, size);
      props.onChange(props.boxes.map((other, place) => (place === index ? changed : other)));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      props.onChange(props.boxes.filter((_, place) => place !== index));
      requestAnimationFrame(() => buttonOf(Math.max(0, index - 1))?.focus());
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const [width, height] = size ?? [4, 3];
  return (
    // Enlarged, it is scrolled by arrow keys as well.
    <div class="scroller" {...(props.zoom > 1 ? { tabIndex: 0, role: "group", "aria-label": `${props.name}, enlarged` } : {})}>
      <div
        class={byPointer ? "drawn-on by-pointer" : "drawn-on"}
        onPointerDownCapture={() => setByPointer(true)}
        onKeyDownCapture={() => setByPointer(false)}
        style={{ "--aspect": String(width / height), "--zoom": String(props.zoom) }}
      >
        <div class="picture" ref={place} />
        <div class="box-buttons" ref={buttons}>
          {size &&
            props.boxes.map(([x1, y1, x2, y2], index) => (
              <button
                type="button"
                key={index}
                class="box-button"
                aria-label={
                  `Box ${index + 1} of ${props.boxes.length}: from ${x1} across and ${y1} down, ${x2 - x1} by ${y2 - y1} pixels. ` +
                  "Arrow keys move it, Shift with arrow keys resizes it, Delete removes it."
                }
                style={{
                  left: `${(100 * x1) / width}%`,
                  top: `${(100 * y1) / height}%`,
                  width: `${(100 * (x2 - x1)) / width}%`,
                  height: `${(100 * (y2 - y1)) / height}%`,
                }}
                onFocus={() => {
                  const id = ids.current[index];
                  if (id) annotator.current?.setSelected(id, true);
                }}
                onKeyDown={(event) => onKey(event, index)}
              />
            ))}
        </div>
      </div>
    </div>
  );
}
