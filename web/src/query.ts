/** Query pictures: those that are on their way to the service, and what is known here of those that are there. */

import { useEffect, useState } from "preact/hooks";
import { Refused, type Box, type Part, type Size, api, upload } from "./api";
import { bytes, sentence } from "./words";

/** A picture that the user gave, shown from their own disk while it is sent. */
export interface Draft {
  file: Blob;
  /** Empty while it is looked at, and where it is better not shown before the service has made a view of it. */
  url: string;
  /** Whether it is not shown from here. */
  unseen: boolean;
  name: string;
  /** How much of it is sent, from 0 to 1. */
  sent: number;
  fault: string | null;
  /** Drawn before it was there: of the picture as the browser has it. */
  boxes: Box[];
  /** As the browser has it; null until it is shown. */
  size: Size | null;
}

/** What is shown of a query picture, and how large the original is. */
export interface Shown {
  url: string;
  size: Size | null;
  name: string | null;
}

let draft: Draft | null = null;
let sending: AbortController | null = null;
const uploads = new Map<string, Shown>();
const pictures = new Map<string, Shown>();
const watchers = new Set<() => void>();

function told(): void {
  for (const watcher of watchers) watcher();
}

function useNews(): void {
  const [, again] = useState(0);
  useEffect(() => {
    const watcher = () => again((count) => count + 1);
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }, []);
}

export function useDraft(): Draft | null {
  useNews();
  return draft;
}

export function changeDraft(changes: Partial<Draft>): void {
  if (draft) draft = { ...draft, ...changes };
  told();
}

export function dropDraft(): void {
  sending?.abort();
  if (draft) URL.revokeObjectURL(draft.url);
  draft = null;
  sending = null;
  told();
}

function scaled(box: Box, from: Size, onto: Size): Box {
  const [across, down] = [onto[0] / from[0], onto[1] / from[1]];
  const [x1, y1, x2, y2] = box;
  return [x1 * across, y1 * down, x2 * across, y2 * down].map(Math.round) as Box;
}

/** A JPEG of so many scans is drawn anew for each of them. */
const SCANS = 100;

/** Whether a browser would draw a picture for so long that the page stands still; the service has a limit for it. */
async function drawsForLong(file: Blob): Promise<boolean> {
  try {
    const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
    if (first !== 0xff || second !== 0xd8) return false;
    const data = new Uint8Array(await file.arrayBuffer());
    let scans = 0;
    for (let at = data.indexOf(0xff); at >= 0; at = data.indexOf(0xff, at + 1)) if (data[at + 1] === 0xda && ++scans > SCANS) return true;
  } catch {
    // What cannot be read cannot be sent either, and that says so.
  }
  return false;
}

/**
 * Shows a picture at once, sends it, and hands over its parts once it is there: its boxes, or the whole of it.
 */
export async function begin(file: Blob, limit: number, onThere: (parts: Part[]) => void): Promise<void> {
  dropDraft();
  const name = file instanceof File ? file.name : "";
  draft = { file, url: "", unseen: false, name, sent: 0, fault: null, boxes: [], size: null };
  const stop = new AbortController();
  sending = stop;
  told();
  if (file.size > limit) {
    changeDraft({ fault: `This picture is too large: ${bytes(file.size)} of at most ${bytes(limit)}.` });
    return;
  }
  const unseen = await drawsForLong(file);
  if (stop.signal.aborted) return;
  const url = unseen ? "" : URL.createObjectURL(file);
  changeDraft({ url, unseen });
  upload(file, (sent) => !stop.signal.aborted && changeDraft({ sent }), stop.signal).then(
    (there) => {
      if (stop.signal.aborted || !draft) return;
      const { boxes, size } = draft;
      uploads.set(there.id, { url: url || api.uploadView(there.id), size: there.size, name });
      draft = null;
      sending = null;
      const own = boxes.map((box) => (size ? scaled(box, size, there.size) : box));
      onThere(own.length ? own.map((region) => ({ upload: there.id, region })) : [{ upload: there.id }]);
      told();
    },
    (fault: unknown) => {
      if (stop.signal.aborted) return;
      changeDraft({ fault: sentence(fault instanceof Refused ? fault.message : "The picture could not be sent") });
    },
  );
}

/** A browser cannot show every format, and files go: then the service's own view is shown, or what it has stored. */
export function cannotShow(collection: string, part: Part): void {
  if ("upload" in part) {
    const known = uploads.get(part.upload);
    if (!known || !known.url.startsWith("blob:")) return;
    URL.revokeObjectURL(known.url);
    uploads.set(part.upload, { ...known, url: api.uploadView(part.upload) });
  } else {
    const known = pictures.get(part.picture);
    if (!known?.size || known.url) return;
    pictures.set(part.picture, { ...known, url: api.thumbnail(collection, part.picture) });
  }
  told();
}

export function know(part: Part, size: Size, name: string | null = null): void {
  const [store, id] = "upload" in part ? [uploads, part.upload] : [pictures, part.picture];
  const known = store.get(id);
  if (known?.size) return;
  const url = "upload" in part ? api.uploadView(id) : "";
  store.set(id, { url: known?.url || url, size, name: known?.name ?? name });
  told();
}

export function sourceOf(part: Part): string {
  return "upload" in part ? `upload:${part.upload}` : `picture:${part.picture}`;
}

/** What to show of a part of a query. Asks for what is not known, which a link from elsewhere has not told. */
export function useShown(collection: string, part: Part | null): Shown | null {
  useNews();
  const source = part && sourceOf(part);
  useEffect(() => {
    if (!part) return;
    const [store, id] = "upload" in part ? [uploads, part.upload] : [pictures, part.picture];
    if (store.get(id)?.size) return;
    const asking = "upload" in part ? api.upload(id) : api.picture(collection, id);
    asking.then(
      (there) => know(part, there.size, "name" in there ? there.name : null),
      () => undefined, // the search says what is wrong, in its words
    );
  }, [collection, source]);
  if (!part) return null;
  if ("upload" in part) return uploads.get(part.upload) ?? { url: api.uploadView(part.upload), size: null, name: null };
  const known = pictures.get(part.picture);
  return { url: known?.url || api.view(collection, part.picture), size: known?.size ?? null, name: known?.name ?? null };
}
