/** What was found: as a grid or a list, in the order and as much of it as the user wants. */

import { useRef, useState } from "preact/hooks";
import { type Collection, type Hit, type Mark, type Missed, type Outline, type Part, type SearchResult, type VerdictWord, api } from "./api";
import { cornersOf, telling } from "./geometry";
import { Menu, Outlines } from "./parts";
import { to } from "./route";
import type { Searching } from "./searching";
import { VERDICTS, counted, fileName, folderOf, number, percent, sentence, titleOf } from "./words";

export type Order = "best" | "sure" | "changed" | "size" | "oldest" | "name";

/** What hits are put together by is a column of the user's own table, and comes before their order. */
function saidOf(hit: Hit, column: string): string {
  return hit.picture.columns?.[column] ?? "";
}

export interface Arranged {
  layout: "grid" | "list";
  order: Order;
  hidden: VerdictWord[];
  least: number;
  unfolded: boolean;
  marked: Mark | "";
  /** A column of the user's own table that hits are grouped by. */
  column: string;
}

export const usual: Arranged = { layout: "grid", order: "best", hidden: [], least: 0, unfolded: false, marked: "", column: "" };

/** So few have room to be large. */
const FEW = 2;

const ORDERS: Record<Order, string> = { best: "Best match", sure: "Most certain", changed: "Most changed", size: "Biggest picture", oldest: "Oldest first", name: "Name" };

function isWeak(hit: Hit, result: SearchResult): boolean {
  if (hit.mark === "right") return false;
  if (hit.verdict) return hit.verdict.verdict === "not shown";
  return result.weak_from !== null && hit.rank >= result.weak_from;
}

/** The hits as the user wants to see them: those that are shown, and those that are folded away as less likely. */
export function arranged(result: SearchResult, how: Arranged): { shown: Hit[]; folded: Hit[] } {
  const wanted = result.hits.filter(
    (hit) =>
      !(hit.verdict && how.hidden.includes(hit.verdict.verdict)) &&
      !(how.least > 0 && (hit.verdict?.probability ?? 0) * 100 < how.least) &&
      (!how.marked || hit.mark === how.marked),
  );
  const area = ({ picture: { size } }: Hit) => size[0] * size[1];
  const sure = ({ verdict }: Hit) => verdict?.probability ?? -1;
  if (how.order === "sure") wanted.sort((one, other) => sure(other) - sure(one) || one.rank - other.rank);
  const changed = ({ change }: Hit) => change ?? -1;
  if (how.order === "changed") wanted.sort((one, other) => changed(other) - changed(one) || one.rank - other.rank);
  if (how.order === "size") wanted.sort((one, other) => area(other) - area(one) || one.rank - other.rank);
  const time = ({ picture: { taken, date } }: Hit) => (taken ? Date.parse(`${taken}Z`) : date ? Date.parse(date) : Infinity);
  if (how.order === "oldest") wanted.sort((one, other) => (time(one) === time(other) ? one.rank - other.rank : time(one) - time(other)));
  if (how.order === "name") wanted.sort((one, other) => titleOf(one.picture).localeCompare(titleOf(other.picture)));
  if (how.column) {
    // Groups as their first hits come.
    const groups = new Map<string, Hit[]>();
    for (const hit of wanted) groups.set(saidOf(hit, how.column), [...(groups.get(saidOf(hit, how.column)) ?? []), hit]);
    wanted.splice(0, wanted.length, ...[...groups.values()].flat());
  }
  return {
    shown: wanted.filter((hit) => !isWeak(hit, result)),
    folded: wanted.filter((hit) => isWeak(hit, result)),
  };
}

/** Whether what is certain comes before what is less so, as whoever looks at the numbers expects. */
function inOrder(hits: Hit[]): boolean {
  const told = hits.flatMap(({ verdict }) => (verdict ? [percent(verdict.probability)] : []));
  return told.every((one, place) => place === 0 || parseInt(told[place - 1] as string) >= parseInt(one));
}

/** The outlines to draw on a hit: where the user says that it is, or else where it was found. */
export function outlinesOf(hit: Hit, query: Part[]): Pick<Outline, "corners">[] {
  if (hit.marked_region) return [{ corners: cornersOf(hit.marked_region) }];
  const part = query[hit.outlines[0]?.query_picture ?? 0];
  return telling(hit.outlines, hit.picture.size, Boolean(part?.region));
}

interface HitsProps {
  collection: Collection;
  searching: Searching;
  arrangement: Arranged;
  onArrange: (how: Arranged) => void;
  open: (hit: Hit) => void;
  href: (hit: Hit) => string;
  onMark: ((picture: string, mark: Mark | null) => void) | null;
  /** Takes back that a picture that was not found is right. */
  onUnmiss: ((picture: string) => void) | null;
  /** Leaves the boxes out, where there are any. */
  onWhole: (() => void) | null;
  onMore: () => void;
  top: number;
  query: Part[];
  say: (message: string) => void;
  complain: (fault: unknown) => void;
}

export function Hits(props: HitsProps) {
  const { searching, arrangement: how, onArrange } = props;
  const { result, step, fault } = searching;
  const list = useRef<HTMLDivElement>(null);
  const ofBox = fault?.problem.code === "region" && props.onWhole !== null;
  if (fault)
    return (
      <div class="card" role="alert">
        <p>
          <strong>{ofBox ? "This box cannot be searched for: it is too small, or not on the picture." : sentence(fault.message)}</strong>
        </p>
        {ofBox ? <p>Draw it anew, or search for the whole picture.</p> : fault.problem.remedy && <p>{sentence(fault.problem.remedy)}</p>}
        {ofBox ? (
          <button type="button" onClick={props.onWhole ?? undefined}>
            Whole picture
          </button>
        ) : (
          <button type="button" onClick={searching.again}>
            Try again
          </button>
        )}
      </div>
    );
  const parts = result ? arranged(result, how) : null;
  const absent = step === "done" && result?.not_here;
  const total = result?.hits.length ?? 0;

  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const links = [...(list.current?.querySelectorAll<HTMLElement>("a.hit-link") ?? [])];
    const now = links.findIndex((link) => link.closest(".hit")?.contains(event.target as Node));
    if (now < 0) return;
    const key = event.key;
    const hit = result?.hits.find(({ picture }) => picture.id === links[now]?.dataset["id"]);
    if (hit && props.onMark && (key === "1" || key === "2" || key === "0")) {
      props.onMark(hit.picture.id, key === "1" ? "right" : key === "2" ? "wrong" : null);
      event.preventDefault();
      return;
    }
    const here = links[now]?.getBoundingClientRect();
    let next = -1;
    if (key === "ArrowRight") next = now + 1;
    else if (key === "ArrowLeft") next = now - 1;
    else if (key === "Home") next = 0;
    else if (key === "End") next = links.length - 1;
    else if (here && (key === "ArrowDown" || key === "ArrowUp")) {
      // The nearest one of the next row, whatever its length.
      const down = key === "ArrowDown";
      let best = Infinity;
      links.forEach((link, place) => {
        const there = link.getBoundingClientRect();
        if (down ? there.top <= here.top + 4 : there.top >= here.top - 4) return;
        const apart = Math.abs(there.top - here.top) * 10 + Math.abs(there.left - here.left);
        if (apart < best) [best, next] = [apart, place];
      });
    }
    const target = links[next];
    if (!target) return;
    target.focus();
    event.preventDefault();
  };

  return (
    <>
      <Steps searching={searching} collection={props.collection} />
      {absent && (
        <p class="card absent">
          {result.searched === 1 ? "The only picture does not show it" : `None of the ${number(result.searched)} pictures shows it`}
          , as far as can be told.{total > 0 && " Those that look most like it are below."}
        </p>
      )}
      {result && total > 0 && <Toolbar {...props} result={result} />}
      {result && step === "done" && total === 0 && (
        <p class="card">{result.searched ? "Nothing was found." : "There is no picture to search among yet."}</p>
      )}
      {result && parts && (
        <div ref={list} onKeyDown={onKey}>
          {how.order === "best" && !inOrder(parts.shown) && (
            <p class="quiet hint">
              The best match comes first; the per cent says how certain it is.
            </p>
          )}
          <Cards {...props} hits={parts.shown} />
          {total > 0 && parts.shown.length === 0 && !absent && (how.hidden.length > 0 || how.least > 0 || how.marked) && (
            <p class="quiet">
              No picture is left by what you chose to see.{" "}
              <button type="button" onClick={() => onArrange({ ...how, hidden: [], least: 0, marked: "" })}>
                Show all again
              </button>
            </p>
          )}
          {parts.folded.length > 0 && step === "done" && (
            <div class="folded">
              <button
                type="button"
                aria-expanded={how.unfolded}
                onClick={() => onArrange({ ...how, unfolded: !how.unfolded })}
              >
                Less likely: {number(parts.folded.length)} more. {how.unfolded ? "Hide" : "Show"}
              </button>
              {how.unfolded && <Cards {...props} hits={parts.folded} />}
            </div>
          )}
          {step === "done" && result.missed.length > 0 && <MissedOnes {...props} missed={result.missed} />}
          {step === "done" && props.onMark && (
            <p class="quiet hint">
              Is one missing? <a href={to(props.collection.name, { view: "browse" })}>Find it in the collection</a>, and say under ⋯ that it shows this.
            </p>
          )}
          {step === "done" && (how.unfolded || parts.folded.length === 0) && total >= props.top && props.top < Math.min(props.collection.limits.top, result.pictures) && (
            <div class="folded">
              <button type="button" onClick={props.onMore}>
                Look further down
              </button>
            </div>
          )}
        </div>
      )}
    </>
  );
}

/** What the user found and the search did not. */
function MissedOnes({ collection, missed, onUnmiss }: HitsProps & { missed: Missed[] }) {
  return (
    <section class="folded" aria-label="What you found yourself">
      <h2>What you found yourself</h2>
      <ul class="cards">
        {missed.map(({ picture, region }) => (
          <li class="hit marked-right" key={picture.id}>
            <a class="hit-link" href={to(collection.name, { view: "search", query: [{ picture: picture.id, ...(region ? { region } : {}) }] })} aria-label={`${titleOf(picture)}: search with it`} title={picture.name}>
              <span class="stage">
                <img src={api.thumbnail(collection.name, picture.id)} alt="" loading="lazy" draggable={false} />
                <Outlines size={picture.size} outlines={region ? [{ corners: cornersOf(region) }] : []} />
              </span>
            </a>
            <div class="caption">
              <p class="name">{titleOf(picture)}</p>
              {onUnmiss && (
                <button type="button" class="quietly" onClick={() => onUnmiss(picture.id)}>
                  Take back
                </button>
              )}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** How far the search is, in words. Its height stays, so that nothing below moves. */
function Steps({ searching, collection }: { searching: Searching; collection: Collection }) {
  const { pictures } = collection;
  const { step, result } = searching;
  const present = result?.present ?? 0;
  const searched = result?.searched ?? pictures;
  const perhaps = result?.hits.filter(({ verdict }) => verdict?.verdict === "unsure").length ?? 0;
  const done = step === "done";
  const told = done
    ? result?.not_here
      ? "It is not here"
      : present
        ? `${counted(present, "picture shows", "pictures show")} it${perhaps ? `, ${number(perhaps)} more perhaps` : ""}`
        : perhaps
          ? `Perhaps ${counted(perhaps, "picture shows", "pictures show")} it`
          : "The most alike"
    : step === "checking"
      ? "Checking where the points lie…"
      : "First look…";
  return (
    <div class="steps" role="status">
      <h1>{told}</h1>
      <p class="quiet">
        {done
          ? result && `${counted(searched, "picture")} searched in ${result.seconds < 0.1 ? "less than 0.1" : result.seconds.toFixed(1)} s`
          : `Among ${counted(searched, "picture")}`}
        {done && result && collection.beside && ` · by ${result.model}`}
        {done && result && pictures > result.pictures && (
          <>
            {" · "}
            {counted(pictures - result.pictures, "more has", "more have")} come since.{" "}
            <button type="button" class="link" onClick={searching.again}>
              Search again
            </button>
          </>
        )}
      </p>
      <div class={done ? "under-way over" : "under-way"} aria-hidden="true" />
    </div>
  );
}

function Toolbar(props: HitsProps & { result: SearchResult }) {
  const { arrangement: how, onArrange, result, query, collection } = props;
  const verdicts = result.hits.some((hit) => hit.verdict);
  const filtered = how.hidden.length > 0 || how.least > 0 || how.marked !== "";
  const save = (format: string) => {
    if (!props.searching.request) return;
    api.exported(collection.name, props.searching.request, format).then(({ file, name }) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }, props.complain);
  };
  const copy = async () => {
    try {
      const uploads = query.flatMap((part) => ("upload" in part ? [part.upload] : []));
      const kept = props.onMark !== null; // whoever may mark may have pictures kept
      if (kept) await Promise.all([...new Set(uploads)].map((id) => api.keep(id)));
      if (navigator.clipboard) {
        await navigator.clipboard.writeText(location.href);
        const lasts = kept ? "Your picture is kept here, so that it works later." : "It works for an hour: pictures are not kept here.";
        props.say(uploads.length ? `The link is copied. ${lasts}` : "The link is copied.");
      } else props.say(`Copy this address: ${location.href}`);
    } catch (fault) {
      props.complain(fault);
    }
  };
  return (
    <div class="toolbar" role="toolbar" aria-label="How the pictures are shown">
      <label>
        <span class="unseen">Order</span>
        <select value={how.order} onChange={(event) => onArrange({ ...how, order: event.currentTarget.value as Order })}>
          {(Object.keys(ORDERS) as Order[]).map((order) => (
            <option value={order}>{ORDERS[order]}</option>
          ))}
        </select>
      </label>
      {collection.columns.length > 0 && (
        <label>
          <span class="unseen">Group by</span>
          <select value={how.column} onChange={(event) => onArrange({ ...how, column: event.currentTarget.value })}>
            <option value="">Not grouped</option>
            {collection.columns.map((column) => (
              <option value={column}>By {column}</option>
            ))}
          </select>
        </label>
      )}
      {verdicts && (
        <Menu label={filtered ? "Filter (on)" : "Filter"}>
          <fieldset>
            <legend>Show</legend>
            {(Object.keys(VERDICTS) as VerdictWord[]).map((word) => (
              <label class="check">
                <input
                  type="checkbox"
                  checked={!how.hidden.includes(word)}
                  onChange={() =>
                    onArrange({
                      ...how,
                      hidden: how.hidden.includes(word) ? how.hidden.filter((other) => other !== word) : [...how.hidden, word],
                    })
                  }
                />
                {VERDICTS[word]} <span class="quiet">{result.hits.filter((hit) => hit.verdict?.verdict === word).length}</span>
              </label>
            ))}
          </fieldset>
          <label class="slider">
            At least {how.least} % likely
            <input
              type="range"
              min="0"
              max="95"
              step="5"
              value={how.least}
              onInput={(event) => onArrange({ ...how, least: Number(event.currentTarget.value) })}
            />
          </label>
          <label class="slider">
            Marked
            <select value={how.marked} onChange={(event) => onArrange({ ...how, marked: event.currentTarget.value as Mark | "" })}>
              <option value="">or not</option>
              <option value="right">right</option>
              <option value="wrong">wrong</option>
            </select>
          </label>
        </Menu>
      )}
      <span class="row tight" role="group" aria-label="Layout">
        {(["grid", "list"] as const).map((layout) => (
          <button type="button" aria-pressed={how.layout === layout} onClick={() => onArrange({ ...how, layout })}>
            {layout === "grid" ? "Grid" : "List"}
          </button>
        ))}
      </span>
      <span class="end row tight">
        <button type="button" class="quietly" onClick={() => void copy()}>
          Copy link
        </button>
        <Menu label="Save">
          <button type="button" data-closes onClick={() => save("csv")}>
            Table for a spreadsheet (CSV)
          </button>
          <button type="button" data-closes onClick={() => save("html")}>
            Page with the pictures (HTML)
          </button>
          <button type="button" data-closes onClick={() => save("annotations")}>
            Annotations (W3C, IIIF)
          </button>
          <button type="button" data-closes onClick={() => save("json")}>
            Everything (JSON)
          </button>
        </Menu>
      </span>
    </div>
  );
}

function Cards(props: HitsProps & { hits: Hit[] }) {
  const { column } = props.arrangement;
  if (column) {
    const said = [...new Set(props.hits.map((hit) => saidOf(hit, column)))];
    return (
      <>
        {said.map((value) => (
          <section key={value} aria-label={value || "Nothing is said"}>
            <h2 class="group-name">{value || "Nothing is said"}</h2>
            <Cards {...props} arrangement={{ ...props.arrangement, column: "" }} hits={props.hits.filter((hit) => saidOf(hit, column) === value)} />
          </section>
        ))}
      </>
    );
  }
  return (
    <ul class={props.arrangement.layout === "list" ? "rows" : props.hits.length > FEW ? "cards" : "cards few"}>
      {props.hits.map((hit) => (
        <Card key={hit.picture.id} hit={hit} large={props.hits.length <= FEW && props.arrangement.layout === "grid"} {...props} />
      ))}
    </ul>
  );
}

export function VerdictWords({ hit, checking }: { hit: Hit; checking: boolean }) {
  if (!hit.verdict) return <span class="quiet">{checking ? "not checked yet" : "looks alike"}</span>;
  const { verdict, probability } = hit.verdict;
  return (
    <span class={`verdict ${verdict.replace(" ", "-")}`}>
      {VERDICTS[verdict]} <span class="probability">{percent(probability)}</span>
    </span>
  );
}

function Card(props: HitsProps & { hit: Hit; large: boolean }) {
  const { hit, collection } = props;
  const [copies, setCopies] = useState(false);
  const checking = props.searching.step !== "done";
  const name = fileName(hit.picture.name);
  const mark = hit.mark;
  return (
    <li class={mark ? `hit marked-${mark}` : "hit"}>
      <a
        class="hit-link"
        data-id={hit.picture.id}
        href={props.href(hit)}
        title={`${hit.picture.name}\nscore ${hit.score.toFixed(3)} (${hit.scored_by})`}
        aria-label={`${hit.rank}: ${name}. ${hit.verdict ? `${VERDICTS[hit.verdict.verdict]}, ${percent(hit.verdict.probability)}` : ""}`}
        onClick={(event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
          event.preventDefault();
          props.open(hit);
        }}
      >
        <span class="stage">
          <img
            src={props.large ? api.view(collection.name, hit.picture.id, 640) : api.thumbnail(collection.name, hit.picture.id)}
            alt=""
            loading="lazy"
            draggable={false}
            onError={(event) => {
              // Its file has gone: what is stored of it is small, but there.
              const stored = api.thumbnail(collection.name, hit.picture.id);
              if (!event.currentTarget.src.endsWith(stored)) event.currentTarget.src = stored;
            }}
          />
          <Outlines size={hit.picture.size} outlines={outlinesOf(hit, props.query)} />
        </span>
      </a>
      <div class="caption">
        <div class="row tight">
          <span class="rank">{hit.rank}</span>
          <VerdictWords hit={hit} checking={checking} />
        </div>
        {props.onMark && (
            <div class="marks" role="group" aria-label={`Mark ${name}`}>
              <button
                type="button"
                class="icon"
                aria-pressed={mark === "right"}
                aria-label={`${name} is right`}
                title="Right (1)"
                onClick={() => props.onMark?.(hit.picture.id, mark === "right" ? null : "right")}
              >
                <span aria-hidden="true">✓</span>
              </button>
              <button
                type="button"
                class="icon"
                aria-pressed={mark === "wrong"}
                aria-label={`${name} is wrong`}
                title="Wrong (2)"
                onClick={() => props.onMark?.(hit.picture.id, mark === "wrong" ? null : "wrong")}
              >
                <span aria-hidden="true">✗</span>
              </button>
            </div>
        )}
        <p class="name">{titleOf(hit.picture)}</p>
        <p class="place quiet">{folderOf(hit.picture.name)}</p>
        {props.arrangement.order === "changed" && hit.change !== null && hit.change !== undefined && (
          <p class="quiet">Changed by {Math.round(hit.change * 100)} %</p>
        )}
        {hit.copies.length > 0 && (
          <button type="button" class="quietly copies" aria-expanded={copies} onClick={() => setCopies(!copies)}>
            {counted(hit.copies.length, "near copy", "near copies")}
          </button>
        )}
        {copies && (
          <ul class="thumbs">
            {hit.copies.map((copy) => (
              <li key={copy.id}>
                <img src={api.thumbnail(collection.name, copy.id)} alt={copy.name} title={copy.name} loading="lazy" />
              </li>
            ))}
          </ul>
        )}
      </div>
    </li>
  );
}
