/** What the service says, and how it is asked. Same origin alone; a token lives in a cookie, never here. */

export type Size = [number, number];
/** x1, y1, x2, y2: pixels of the upright original, half-open. */
export type Box = [number, number, number, number];

export interface Job {
  id: string;
  kind: string;
  collection: string;
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  done: number;
  total: number | null;
  rate: number | null;
  seconds_left: number | null;
  created: string;
  ended: string | null;
  report: Record<string, unknown> | null;
  problem: Problem | null;
}

export interface Collection {
  name: string;
  pictures: number;
  files: number;
  skipped: number;
  featureless: number;
  created: string | null;
  model: string;
  keeps: string[];
  classifier: boolean;
  roots: { name: string; files: number }[];
  writable: boolean;
  job: Job | null;
  limits: { upload_bytes: number; top: number; parts: number };
}

export interface Picture {
  id: string;
  name: string;
  names: string[];
  size: Size;
  format: string;
  bytes: number;
  featureless: boolean;
  columns: Record<string, string> | null;
  added?: string | null;
  present?: boolean;
}

export interface PicturePage {
  total: number;
  next: string | null;
  pictures: Picture[];
}

export interface Upload {
  id: string;
  size: Size;
  format: string;
  kept: boolean;
  warnings: string[];
}

export type Part = { upload: string; region?: Box } | { picture: string; region?: Box };

export interface SearchOptions {
  attend?: number[];
}

export interface SearchRequest {
  query: Part[];
  top: number;
  without_self: boolean;
  points: boolean;
  options: SearchOptions;
}

export type VerdictWord = "present" | "unsure" | "not shown";

export interface Verdict {
  verdict: VerdictWord;
  same: boolean | null;
  probability: number;
  reason: string;
}

export type Corner = [number, number];

export interface Outline {
  corners: [Corner, Corner, Corner, Corner];
  box: Box;
  points: number;
  turn: number;
  scale: number;
  mirrored: boolean;
  query_picture: number;
  matching_points?: [number, number, number, number][];
}

export type Mark = "right" | "wrong";

export interface Hit {
  rank: number;
  picture: Picture;
  score: number;
  scored_by: string;
  verdict: Verdict | null;
  outlines: Outline[];
  evidence: { stage: string; score: number | null; [more: string]: unknown }[];
  stands_out: boolean | null;
  copies: Picture[];
  mark: Mark | null;
}

export interface SeenClass {
  id: number;
  name: string;
  probability: number;
}

export interface SearchResult {
  collection: string;
  final: boolean;
  seconds: number;
  searched: number;
  pictures: number;
  classes: SeenClass[];
  query: { id: string; upload: boolean; region: Box | null; size: Size }[];
  hits: Hit[];
  stages: { stage: string; pictures: number; [more: string]: unknown }[];
  present: number;
  not_here: boolean;
  weak_from: number | null;
}

export interface Marked {
  query: Part[];
  /** Null where it has left the collection. */
  picture: Picture | null;
  id: string;
  mark: Mark;
  at: string;
}

export interface Group {
  id: string;
  size: number;
  pictures: Picture[];
}

export interface Skipped {
  name: string;
  reason: string;
  code: string | null;
}

export interface Folder {
  name: string;
  files: number;
}

export interface Session {
  scopes: string[];
  needs_token: boolean;
}

export interface Problem {
  title: string;
  status: number;
  detail?: string | null;
  code?: string | null;
  remedy?: string | null;
}

/** A refusal of the service, in its words. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

const BASE = "api/v1";
const OWN = { "X-Camseek": "page" };

function address(...parts: string[]): string {
  return [BASE, ...parts.map(encodeURIComponent)].join("/");
}

async function problemOf(answer: Response): Promise<Refused> {
  const plain = { title: answer.statusText || "The service did not answer as it should", status: answer.status };
  try {
    const told = (await answer.json()) as Partial<Problem>;
    return new Refused({ ...plain, ...told });
  } catch {
    return new Refused(plain);
  }
}

async function asked(where: string, how: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(where, { credentials: "same-origin", ...how });
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === "AbortError") throw fault;
    throw new Refused({
      title: "The service does not answer",
      status: 0,
      detail: "camseek does not answer. Is it still running?",
    });
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

async function json<T>(where: string, how: RequestInit = {}): Promise<T> {
  return (await (await asked(where, how)).json()) as T;
}

function written(method: string, body?: unknown): RequestInit {
  if (body === undefined) return { method, headers: OWN };
  return { method, headers: { ...OWN, "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/** A part without what is null in it. */
function bare(part: Part): Part {
  return Object.fromEntries(Object.entries(part).filter(([, value]) => value !== null)) as Part;
}

export interface Listing {
  order?: string;
  folder?: string;
  text?: string;
}

export const api = {
  session: () => json<Session>(address("session")),
  signIn: (token: string) => asked(address("session"), written("POST", { token })),
  collections: () => json<Collection[]>(address("collections")),
  collection: (name: string) => json<Collection>(address("collections", name)),
  picture: (name: string, id: string) => json<Picture>(address("collections", name, "pictures", id)),
  remove: (name: string, id: string) =>
    json<{ removed: number; coming_back: number }>(address("collections", name, "pictures", id), written("DELETE")),
  folders: (name: string) => json<Folder[]>(address("collections", name, "folders")),
  skipped: (name: string) => json<Skipped[]>(address("collections", name, "skipped")),
  marks: async (name: string) => {
    const told = await json<Marked[]>(address("collections", name, "marks"));
    return told.map((item) => ({ ...item, query: item.query.map(bare) }));
  },
  groups: (name: string) => json<Group[]>(address("collections", name, "groups")),
  group: (name: string, id: string) => json<Group>(address("collections", name, "groups", id)),
  upload: (id: string) => json<Upload>(address("uploads", id)),
  keep: (id: string) => json<Upload>(address("uploads", id, "keep"), written("POST")),
  jobs: (name: string) => json<Job[]>(`${address("jobs")}?collection=${encodeURIComponent(name)}`),
  start: (kind: string, collection: string) => json<Job>(address("jobs"), written("POST", { kind, collection })),
  cancel: (id: string) => json<Job>(address("jobs", id), written("DELETE")),
  mark: (name: string, query: Part[], picture: string, mark: Mark | null) =>
    json<{ mark: Mark | null }>(address("collections", name, "marks"), written("PUT", { query, picture, mark })),

  pictures(name: string, listing: Listing, offset: number, limit: number, signal: AbortSignal): Promise<PicturePage> {
    const asks = new URLSearchParams({ offset: String(offset), limit: String(limit) });
    for (const [key, value] of Object.entries(listing)) if (value) asks.set(key, value);
    return json<PicturePage>(`${address("collections", name, "pictures")}?${asks}`, { signal });
  },

  async exported(name: string, request: SearchRequest, format: string): Promise<{ file: Blob; name: string }> {
    const where = `${address("collections", name, "search", "export")}?format=${format}`;
    const answer = await asked(where, written("POST", request));
    const told = /filename="?([^";]+)"?/.exec(answer.headers.get("Content-Disposition") ?? "");
    return { file: await answer.blob(), name: told?.[1] ?? `camseek.${format}` };
  },

  jobEvents: (id: string) => address("jobs", id, "events"),
  marksFile: (name: string) => `${address("collections", name, "marks")}?format=csv`,
  thumbnail: (name: string, id: string) => `${address("collections", name, "pictures", id)}/thumbnail`,
  view: (name: string, id: string, side: 640 | 1024 | 1600 | 2560 = 1600) =>
    `${address("collections", name, "pictures", id)}/view?side=${side}`,
  uploadView: (id: string, side: 640 | 1024 | 1600 | 2560 = 1600) => `${address("uploads", id)}/view?side=${side}`,
  heat: (name: string, id: string, classes: number[]) =>
    `${address("collections", name, "pictures", id)}/heat?classes=${classes.join(",")}`,
};

/** The events of a stream of server-sent events: name and data. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<{ name: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest = (rest + (value ?? "")).replaceAll("\r\n", "\n");
    let end: number;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      let name = "message";
      const data: string[] = [];
      for (const line of rest.slice(0, end).split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      }
      rest = rest.slice(end + 2);
      if (data.length) yield { name, data: data.join("\n") };
    }
    if (done) return;
  }
}

/** Searches, and hands over what each stage found as it comes; the last answer is the result. */
export async function search(
  collection: string,
  request: SearchRequest,
  onStage: (found: SearchResult) => void,
  signal: AbortSignal,
): Promise<SearchResult> {
  const how = written("POST", request);
  const headers = { ...(how.headers as Record<string, string>), Accept: "text/event-stream" };
  const answer = await asked(address("collections", collection, "search"), { ...how, headers, signal });
  if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream") || !answer.body)
    return (await answer.json()) as SearchResult;
  for await (const { name, data } of events(answer.body)) {
    if (name === "stage") onStage(JSON.parse(data) as SearchResult);
    if (name === "problem") throw new Refused(JSON.parse(data) as Problem);
    if (name === "result") return JSON.parse(data) as SearchResult;
  }
  throw new Refused({ title: "The answer broke off", status: 0, detail: "The search broke off. Try again." });
}

/** Sends bytes and tells how far it is; `fetch` cannot tell that. */
function sent<T>(
  where: string,
  body: XMLHttpRequestBodyInit,
  type: string | null,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", where);
    request.responseType = "json";
    request.setRequestHeader("X-Camseek", "page");
    if (type) request.setRequestHeader("Content-Type", type);
    request.upload.onprogress = (step) => step.lengthComputable && onProgress(step.loaded / step.total);
    request.onload = () => {
      const { status, response } = request;
      if (status >= 200 && status < 300) resolve(response as T);
      else reject(new Refused({ title: "This picture was not taken", status, ...(response as Partial<Problem> | null) }));
    };
    request.onerror = () =>
      reject(new Refused({ title: "The service does not answer", status: 0, detail: "The picture could not be sent." }));
    request.onabort = () => reject(new DOMException("taken back", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

/** Sends a query picture. */
export function upload(file: Blob, onProgress: (fraction: number) => void, signal: AbortSignal): Promise<Upload> {
  return sent(address("uploads"), file, file.type || "application/octet-stream", onProgress, signal);
}

/** Sends pictures that are to stay in a collection. */
export function addPictures(
  collection: string,
  files: File[],
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<Job> {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return sent(address("collections", collection, "pictures"), form, null, onProgress, signal);
}
