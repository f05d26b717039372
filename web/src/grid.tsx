/** A grid of the collection's pictures: only what is in sight is there, and only that is asked for. */

import { Component } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Listing, type Picture, Refused, api } from "./api";
import { fileName, number } from "./words";

const PAGE = 200;
/** Rows above and below what is in sight, so that scrolling shows no holes. */
const MARGIN = 3;

interface Pages {
  total: number | null;
  fault: string | null;
  at: (index: number) => Picture | undefined;
  want: (from: number, to: number) => void;
}

/** Pages of a listing, each asked for once it is wanted. */
/** What could not be had is asked for again after so long (ms). */
const AGAIN = 3000;

export function usePages(collection: string, listing: Listing, version: number): Pages {
  const key = JSON.stringify([collection, listing]);
  const held = useRef({ key, pages: new Map<number, Picture[]>(), asked: new Set<number>(), stop: new AbortController() });
  const [total, setTotal] = useState<number | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [, again] = useState(0);
  if (held.current.key !== key) {
    held.current.stop.abort();
    held.current = { key, pages: new Map(), asked: new Set(), stop: new AbortController() };
  }
  const ask = (page: number) => {
    const now = held.current;
    if (now.asked.has(page)) return;
    now.asked.add(page);
    api.pictures(collection, listing, page * PAGE, PAGE, now.stop.signal).then(
      (found) => {
        if (held.current !== now) return;
        now.pages.set(page, found.pictures);
        setTotal(found.total);
        setFault(null);
        again((count) => count + 1);
      },
      (told: unknown) => {
        if (held.current !== now || now.stop.signal.aborted) return;
        now.asked.delete(page);
        setFault(told instanceof Refused ? told.message : String(told));
        // A service that was stopped is there again some time.
        setTimeout(() => held.current === now && !now.stop.signal.aborted && ask(page), AGAIN);
      },
    );
  };
  // What came or went meanwhile is asked for; until it is here, what was there stays.
  useEffect(() => {
    held.current.asked.clear();
    ask(0);
  }, [key, version]);
  useEffect(() => () => held.current.stop.abort(), []);
  return {
    total,
    fault,
    at: (index) => held.current.pages.get(Math.floor(index / PAGE))?.[index % PAGE],
    want: (from, to) => {
      for (let page = Math.floor(from / PAGE); page <= Math.floor(to / PAGE); page++) ask(page);
    },
  };
}

export interface GridProps {
  collection: string;
  listing: Listing;
  version: number;
  href: (picture: Picture) => string;
  /** What activating a picture does, for screen readers. */
  does: string;
  empty: string;
  onMore?: (picture: Picture) => void;
}

interface CellProps {
  picture: Picture;
  place: number;
  /** Whether the Tab key comes to it. */
  inTurn: boolean;
  grid: GridProps;
  onFocus: (place: number) => void;
}

/** What stays in sight while the grid scrolls is not made anew. */
class Cell extends Component<CellProps> {
  override shouldComponentUpdate(next: CellProps): boolean {
    const { picture, place, inTurn } = this.props;
    return picture !== next.picture || place !== next.place || inTurn !== next.inTurn;
  }

  render({ picture, place, inTurn, grid, onFocus }: CellProps) {
    const name = fileName(picture.name);
    const tabIndex = inTurn ? 0 : -1;
    return (
      <>
        <a
          href={grid.href(picture)}
          data-place={place}
          tabIndex={tabIndex}
          title={picture.name}
          aria-label={`${name}: ${grid.does}`}
          onFocus={() => onFocus(place)}
        >
          <img src={api.thumbnail(grid.collection, picture.id)} alt="" decoding="async" draggable={false} />
        </a>
        {grid.onMore && (
          <button type="button" class="more" tabIndex={tabIndex} aria-label={`About ${name}`} onClick={() => grid.onMore?.(picture)}>
            <span aria-hidden="true">⋯</span>
          </button>
        )}
      </>
    );
  }
}

export function Grid(props: GridProps) {
  const pages = usePages(props.collection, props.listing, props.version);
  const own = useRef<HTMLDivElement>(null);
  const [shape, setShape] = useState({ columns: 1, row: 200 });
  const [range, setRange] = useState({ from: 0, to: 6 });
  const [focused, setFocused] = useState(0);
  const toFocus = useRef<number | null>(null);
  const total = pages.total ?? 0;
  const rows = Math.ceil(total / shape.columns);

  useLayoutEffect(() => {
    const grid = own.current;
    if (!grid) return;
    const measure = () => {
      const width = grid.clientWidth;
      if (!width) return;
      const least = width < 600 ? 110 : 190;
      const columns = Math.max(2, Math.floor(width / least));
      setShape({ columns, row: Math.round(width / columns) });
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(grid);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const look = () => {
      const grid = own.current;
      if (!grid) return;
      const top = -grid.getBoundingClientRect().top;
      const from = Math.max(0, Math.floor(top / shape.row) - MARGIN);
      const to = Math.max(0, Math.ceil((top + innerHeight) / shape.row) + MARGIN);
      setRange((now) => (now.from === from && now.to === to ? now : { from, to }));
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [shape, total]);

  const first = range.from * shape.columns;
  const last = Math.min(total, range.to * shape.columns);
  // A scroll bar that is dragged passes many pages: those that it stays on are asked for.
  useEffect(() => {
    if (last <= first) return;
    const timer = setTimeout(() => pages.want(first, last - 1), 80);
    return () => clearTimeout(timer);
  }, [first, last, props.version, JSON.stringify(props.listing)]);

  useLayoutEffect(() => {
    if (toFocus.current === null) return;
    const cell = own.current?.querySelector<HTMLElement>(`[data-place="${toFocus.current}"]`);
    if (!cell) return;
    cell.focus();
    toFocus.current = null;
  });

  const onKey = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -shape.columns,
      ArrowDown: shape.columns,
      PageUp: -shape.columns * 3,
      PageDown: shape.columns * 3,
      Home: -total,
      End: total,
    };
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const place = Math.max(0, Math.min(total - 1, focused + step));
    setFocused(place);
    toFocus.current = place;
    const grid = own.current;
    const row = Math.floor(place / shape.columns);
    if (row < range.from + MARGIN || row > range.to - MARGIN) {
      const top = (grid?.getBoundingClientRect().top ?? 0) + scrollY;
      scrollTo({ top: top + row * shape.row - innerHeight / 2 });
    }
  };

  if (pages.fault && pages.total === null) return <p class="fault">{pages.fault}</p>;
  if (pages.total === 0) return <p class="quiet">{props.empty}</p>;
  const cells = [];
  for (let place = first; place < last; place++) {
    const picture = pages.at(place);
    const position = {
      transform: `translate(${(place % shape.columns) * shape.row}px, ${Math.floor(place / shape.columns) * shape.row}px)`,
      width: `${shape.row}px`,
      height: `${shape.row}px`,
    };
    cells.push(
      <div role="listitem" class="cell" style={position} key={place} aria-setsize={total} aria-posinset={place + 1}>
        {picture && <Cell picture={picture} place={place} inTurn={place === focused} grid={props} onFocus={setFocused} />}
      </div>,
    );
  }
  return (
    <div
      class="pictures"
      role="list"
      aria-label={`${number(total)} pictures`}
      aria-busy={pages.total === null}
      ref={own}
      style={{ height: `${rows * shape.row}px` }}
      onKeyDown={onKey}
    >
      {cells}
    </div>
  );
}
