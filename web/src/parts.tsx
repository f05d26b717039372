/** Small parts that several views have. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Outline, Size } from "./api";

/** A button that unfolds a few more; a click elsewhere or Escape folds it again. */
export function Menu(props: { label: string; name?: string; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const own = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => own.current?.contains(event.target as Node) || setOpen(false);
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      event.preventDefault(); // a window around it stays
      setOpen(false);
      own.current?.querySelector("button")?.focus();
    };
    addEventListener("pointerdown", away);
    addEventListener("keydown", escape, true);
    return () => {
      removeEventListener("pointerdown", away);
      removeEventListener("keydown", escape, true);
    };
  }, [open]);
  return (
    <div class="menu" ref={own}>
      <button type="button" class="quietly" aria-expanded={open} aria-label={props.name ?? props.label} onClick={() => setOpen(!open)}>
        {props.label} <span aria-hidden="true">▾</span>
      </button>
      {open && (
        <div class="unfolded" onClick={(event) => (event.target as Element).closest("[data-closes]") && setOpen(false)}>
          {props.children}
        </div>
      )}
    </div>
  );
}

/** Outlines over a picture that is shown whole in the middle of its place, as `object-fit: contain` has it. */
export function Outlines(props: { size: Size; outlines: Pick<Outline, "corners">[] }) {
  const [width, height] = props.size;
  return (
    <svg class="outlines" viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {props.outlines.map((outline) => {
        const points = outline.corners.map(([x, y]) => `${x},${y}`).join(" ");
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

/** A window over the page. The browser keeps the focus in it and closes it on Escape. */
export function Dialog(props: { name: string; class?: string; onClose: () => void; children: ComponentChildren }) {
  const own = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = own.current;
    const back = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (back instanceof HTMLElement && back.isConnected) back.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={own}
      class={props.class ?? "small"}
      aria-label={props.name}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onClick={(event) => event.target === own.current && props.onClose()}
    >
      {props.children}
    </dialog>
  );
}

/** Something that the page asks before it does it. */
export function Ask(props: { question: string; why: string; yes: string; onYes: () => void; onNo: () => void }) {
  return (
    <Dialog name={props.question} onClose={props.onNo}>
      <h2>{props.question}</h2>
      <p>{props.why}</p>
      <div class="row end">
        <button type="button" onClick={props.onNo}>
          Leave it
        </button>
        <button type="button" class="danger" onClick={props.onYes}>
          {props.yes}
        </button>
      </div>
    </Dialog>
  );
}

export function Bar(props: { fraction: number | null; name: string }) {
  const value = props.fraction === null ? {} : { value: props.fraction };
  return <progress max={1} {...value} aria-label={props.name} />;
}

/** Whether keys are meant for what the user writes in. */
export function writes(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input:not([type=checkbox]):not([type=range]), textarea, select") !== null;
}
