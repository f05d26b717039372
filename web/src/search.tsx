/** A search: the query and its boxes on one side, what was found on the other. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Box, type Hit, type Mark, type Part, api } from "./api";
import type { Shared } from "./app";
import { Boxes } from "./boxes";
import { Compare } from "./compare";
import { boxInMiddle, cornersOf, sameBox, whole } from "./geometry";
import { Hits, type Arranged, arranged, usual } from "./hits";
import { Bar, Outlines } from "./parts";
import { type Draft, type Shown, cannotShow, changeDraft, sourceOf, useDraft, useShown } from "./query";
import { cameFromHere, go, partText, to } from "./route";
import { type Searching, useSearch } from "./searching";
import { Give } from "./start";
import { useUndo } from "./undo";
import { counted, percent } from "./words";

/** A box that is being drawn asks for many searches: only what stands still for so long (ms) is searched for. */
const STILL = 250;
const ZOOMS = [1, 1.5, 2, 3, 4];

function regionOf(part: Part): Box[] {
  return part.region ? [part.region] : [];
}

/** The query with a hit as its only picture: the place where the thing is, or all of it. */
export function queryOf(hit: Hit, all: boolean): Part[] {
  const box = hit.outlines[0]?.box;
  const small = box && !sameBox(box, whole(hit.picture.size));
  return [small && !all ? { picture: hit.picture.id, region: box } : { picture: hit.picture.id }];
}

export function Search(shared: Shared) {
  const { collection, route, complain, say } = shared;
  const draft = useDraft();
  const onItsWay = route.query.length ? null : draft;
  const main = route.query[0] ?? null;
  const source = main && sourceOf(main);
  const own = route.query.filter((part) => sourceOf(part) === source);
  const others = route.query.filter((part) => sourceOf(part) !== source);
  const shown = useShown(collection.name, main);
  const [large, setLarge] = useState(false);
  const [arrangement, setArrangement] = useState<Arranged>(usual);
  const searching = useSearch(collection.name, route.query, route.attend, route.top, arrangement.order === "changed", complain);
  const [drawn, setDrawn] = useState<{ source: string; boxes: Box[] } | null>(null);
  const { result } = searching;
  const settled = !drawn && (searching.step === "done" || searching.step === "failed");

  const ask = (query: Part[], replace: boolean) => go({ ...route, view: "search", query, open: null, attend: route.attend }, replace);
  const draw = (boxes: Box[]) => {
    if (onItsWay) changeDraft({ boxes });
    else if (source) setDrawn({ source, boxes });
  };
  useEffect(() => {
    if (!drawn || drawn.source !== source || !main) return;
    const timer = setTimeout(() => {
      const bare = "upload" in main ? { upload: main.upload } : { picture: main.picture };
      ask([...(drawn.boxes.length ? drawn.boxes.map((region) => ({ ...bare, region })) : [bare]), ...others], searching.step !== "done");
      setDrawn(null);
    }, STILL);
    return () => clearTimeout(timer);
  }, [drawn, source]);
  const boxes = onItsWay ? onItsWay.boxes : drawn && drawn.source === source ? drawn.boxes : own.flatMap(regionOf);
  const undo = useUndo(`${collection.name} ${onItsWay?.url ?? source}`, boxes, draw, (query, picture, mark) => searching.mark(picture, mark, query));
  const setBoxes = (after: Box[]) => {
    undo.boxes(boxes, after);
    draw(after);
  };
  const mark = (picture: string, wanted: Mark | null) => {
    const before = result?.hits.find((hit) => hit.picture.id === picture)?.mark ?? null;
    if (before !== wanted) undo.mark(route.query, picture, before, wanted);
    searching.mark(picture, wanted);
  };
  const show = (picture: string | null) => {
    if (picture) go({ ...route, open: picture }, route.open !== null);
    else if (cameFromHere()) history.back();
    else go({ ...route, open: null }, true);
  };
  const searchFor = (hit: Hit, all: boolean) => go({ ...route, query: queryOf(hit, all), open: null, attend: null });
  const listed = result ? arranged(result, arrangement) : null;
  const inOrder = listed ? [...listed.shown, ...listed.folded] : [];
  const openHit = inOrder.find((hit) => hit.picture.id === route.open) ?? result?.hits.find((hit) => hit.picture.id === route.open);

  if (!onItsWay && !main)
    return (
      <div class="start">
        <section class="give">
          <h1>Search with a picture</h1>
          <Give {...shared} limit={collection.limits.upload_bytes} />
        </section>
      </div>
    );

  return (
    <div class={large ? "search large" : "search"}>
      <aside class="query" aria-label="What is searched for">
        <Query
          key={onItsWay?.url ?? shown?.url}
          draft={onItsWay}
          shown={shown}
          boxes={boxes}
          onBoxes={setBoxes}
          onUnreadable={() => main && cannotShow(collection.name, main)}
          large={large}
          onLarge={() => setLarge(!large)}
        />
        {others.length > 0 && (
          <Together collection={collection.name} parts={others} onLess={(query) => ask([...own, ...query], true)} />
        )}
        <Refine searching={searching} query={route.query} most={collection.limits.parts} onMore={(query) => ask(query, false)} />
        {collection.classifier && result && result.classes.length > 0 && (
          <Classes
            classes={result.classes}
            attend={route.attend}
            onAttend={(attend) => go({ ...route, attend, open: null }, true)}
          />
        )}
      </aside>
      <section
        class="found"
        aria-label="What was found"
        aria-busy={!settled}
        data-found={settled ? [route.query.map(partText).join(";"), route.attend?.join(",") ?? ""].join("|") : ""}
      >
        {onItsWay ? (
          <Sending draft={onItsWay} />
        ) : (
          <Hits
            collection={collection}
            searching={searching}
            arrangement={arrangement}
            onArrange={setArrangement}
            open={(hit) => show(hit.picture.id)}
            href={(hit) => to(collection.name, { ...route, open: hit.picture.id })}
            onMark={shared.mayWrite ? mark : null}
            onUnmiss={shared.mayWrite ? (picture) => searching.mark(picture, null) : null}
            onWhole={boxes.length ? () => setBoxes([]) : null}
            onMore={() => go({ ...route, top: Math.min(collection.limits.top, route.top * 4) }, true)}
            top={route.top}
            query={route.query}
            say={say}
            complain={complain}
          />
        )}
      </section>
      <Strip shown={onItsWay ? (onItsWay.url ? { url: onItsWay.url, size: onItsWay.size, name: onItsWay.name } : null) : shown} boxes={boxes} />
      {openHit && result && main && (
        <Compare
          key="compare"
          collection={collection.name}
          hit={openHit}
          hits={inOrder}
          result={result}
          query={route.query}
          onOpen={show}
          onSearch={searchFor}
          onMark={shared.mayWrite ? mark : null}
        />
      )}
    </div>
  );
}

function Sending({ draft }: { draft: Draft }) {
  if (draft.fault)
    return (
      <p class="fault" role="alert">
        {draft.fault}
      </p>
    );
  return (
    <div class="steps" role="status">
      <p>{draft.sent < 1 ? `Sending your picture: ${percent(draft.sent)}` : "Your picture is being read…"}</p>
      <Bar fraction={draft.sent < 1 ? draft.sent : null} name="Sent" />
      <p class="quiet">You can draw a box around the thing already.</p>
    </div>
  );
}

function Query(props: {
  draft: Draft | null;
  shown: Shown | null;
  boxes: Box[];
  onBoxes: (boxes: Box[]) => void;
  onUnreadable: () => void;
  large: boolean;
  onLarge: () => void;
}) {
  const { draft, shown, boxes, onBoxes } = props;
  const [zoom, setZoom] = useState(0);
  const [unseen, setUnseen] = useState(false);
  const url = draft?.url ?? shown?.url ?? "";
  const size = draft ? draft.size : (shown?.size ?? null);
  const name = draft?.name || shown?.name || "your picture";
  const addBox = () => {
    if (!size) return;
    onBoxes([...boxes, boxInMiddle(size, boxes.length)]);
    requestAnimationFrame(() => {
      const all = document.querySelectorAll<HTMLElement>(".query .box-button");
      all[all.length - 1]?.focus();
    });
  };
  return (
    <>
      {draft && !draft.url && !draft.unseen ? (
        <div class="scroller" aria-busy="true" />
      ) : draft && (unseen || draft.unseen) ? (
        <p class="card quiet">Your browser cannot show this kind of picture. It is shown once it has been sent.</p>
      ) : (
        <Boxes
          url={url}
          name={name}
          size={size}
          boxes={boxes}
          zoom={ZOOMS[zoom] ?? 1}
          onChange={onBoxes}
          onSize={(found) => draft && changeDraft({ size: found })}
          onUnreadable={() => {
            setUnseen(true);
            props.onUnreadable();
          }}
        />
      )}
      <p class="hint">
        {boxes.length === 0
          ? "The whole picture is searched for. Draw a box around one thing to search for that alone."
          : boxes.length === 1
            ? "What is in the box is searched for."
            : `What is in the ${boxes.length} boxes is searched for, as one thing.`}
      </p>
      <div class="row tools">
        <button type="button" onClick={() => onBoxes([])} disabled={!boxes.length}>
          Whole picture
        </button>
        <button type="button" onClick={addBox} disabled={!size}>
          Add a box
        </button>
        {boxes.length > 1 && (
          <button type="button" onClick={() => onBoxes(boxes.slice(0, -1))}>
            Remove the last
          </button>
        )}
        <span class="end row tight">
          <button type="button" class="icon" aria-label="Smaller" disabled={zoom === 0} onClick={() => setZoom(zoom - 1)}>
            <span aria-hidden="true">−</span>
          </button>
          <button type="button" class="icon" aria-label="Larger" disabled={zoom === ZOOMS.length - 1} onClick={() => setZoom(zoom + 1)}>
            <span aria-hidden="true">+</span>
          </button>
          <button type="button" class="wide-only" aria-pressed={props.large} onClick={props.onLarge}>
            Wide
          </button>
        </span>
      </div>
    </>
  );
}

/** On a telephone the query scrolls away: a small one stays. */
function Strip({ shown, boxes }: { shown: Shown | null; boxes: Box[] }) {
  const [gone, setGone] = useState(false);
  useEffect(() => {
    const query = document.querySelector(".query .scroller");
    if (!query) return;
    const observer = new IntersectionObserver(([entry]) => setGone(entry ? !entry.isIntersecting : false));
    observer.observe(query);
    return () => observer.disconnect();
  }, [shown?.url]);
  if (!gone || !shown) return null;
  return (
    <button type="button" class="strip" onClick={() => scrollTo({ top: 0 })}>
      <span class="thumb">
        <img src={shown.url} alt="" />
        {shown.size && <Outlines size={shown.size} outlines={boxes.map((box) => ({ corners: cornersOf(box) }))} />}
      </span>
      Change what is searched for
    </button>
  );
}

/** Further pictures of the same thing, which are searched for together with it. */
function Together(props: { collection: string; parts: Part[]; onLess: (parts: Part[]) => void }) {
  return (
    <div class="together">
      <h2>Together with</h2>
      <ul>
        {props.parts.map((part, place) => (
          <li key={place}>
            <img src={"picture" in part ? api.thumbnail(props.collection, part.picture) : api.uploadView(part.upload, 640)} alt="" />
            <button
              type="button"
              class="icon"
              aria-label={`Leave out picture ${place + 1}`}
              onClick={() => props.onLess(props.parts.filter((_, other) => other !== place))}
            >
              <span aria-hidden="true">×</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Refine(props: { searching: Searching; query: Part[]; most: number; onMore: (query: Part[]) => void }) {
  const { result } = props.searching;
  if (!result) return null;
  const known = new Set(props.query.map(sourceOf));
  const confirmed: Part[] = [
    ...result.hits.filter((hit) => hit.mark === "right").flatMap((hit) => (hit.marked_region ? [{ picture: hit.picture.id, region: hit.marked_region }] : queryOf(hit, false))),
    ...result.missed.map(({ picture, region }) => (region ? { picture: picture.id, region } : { picture: picture.id })),
  ];
  const right = confirmed.filter((part) => !known.has(sourceOf(part)));
  const room = Math.min(8, props.most - props.query.length);
  if (!right.length || room < 1) return null;
  const more = () => props.onMore([...props.query, ...right.slice(0, room)]);
  return (
    <div class="card">
      <p>You said that {counted(right.length, "picture is right", "pictures are right")}.</p>
      <button type="button" class="strong" onClick={more}>
        Search again with what you confirmed
      </button>
    </div>
  );
}

/** What the network takes the thing for: which of it counts. */
function Classes(props: {
  classes: { id: number; name: string; probability: number }[];
  attend: number[] | null;
  onAttend: (attend: number[] | null) => void;
}) {
  // The answer names what it attended to: what was switched off stays to be switched on again.
  const all = useRef(new Map<number, { id: number; name: string; probability: number }>());
  for (const item of props.classes) if (!all.current.has(item.id)) all.current.set(item.id, item);
  const chips = [...all.current.values()].slice(0, 24);
  const on = new Set(props.attend ?? props.classes.map(({ id }) => id));
  const flip = (id: number) => {
    const wanted = chips.map((item) => item.id).filter((other) => (other === id ? !on.has(other) : on.has(other)));
    if (wanted.length) props.onAttend(wanted);
  };
  return (
    <details class="classes">
      <summary>What the network sees</summary>
      <p class="quiet">
        These are the words nearest to your picture that the network knows; they need not be right. It looks where these
        things are. Switch one off, and the search no longer minds it.
      </p>
      <ul class="chips">
        {chips.map((item) => (
          <li>
            <button type="button" class="chip" aria-pressed={on.has(item.id)} onClick={() => flip(item.id)}>
              {item.name}
            </button>
          </li>
        ))}
      </ul>
      {props.attend && (
        <button type="button" onClick={() => props.onAttend(null)}>
          As it was
        </button>
      )}
    </details>
  );
}
