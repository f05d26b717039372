/**
 * What the service says, and how it is asked. Same origin alone; a token lives in a cookie, never here.
 *
 * Its records are those of the OpenAPI text (`npm run types`); where a type cannot say what the text means, it is said here.
 */

import type { components } from "./schema";

type Records = components["schemas"];

export type Size = [number, number];
/** x1, y1, x2, y2: pixels of the upright original, half-open. */
export type Box = [number, number, number, number];
export type Corner = [number, number];

export type Job = Records["JobRecord"];
export type Collection = Records["CollectionRecord"];
export type Unusable = Records["UnusableCollection"];
export type Picture = Records["Picture"];
export type PicturePage = Records["PicturePage"];
export type Upload = Records["Upload"];
export type Verdict = Records["VerdictRecord"];
export type VerdictWord = Verdict["verdict"];
export type Hit = Omit<Records["HitRecord"], "outlines"> & { outlines: Outline[] };
/** A picture that the user says is right, and that was not found. */
export type Missed = Records["MissedRecord"];
export type Mark = NonNullable<Hit["mark"]>;
export type SearchResult = Omit<Records["SearchRecord"], "hits" | "missed"> & { hits: Hit[]; missed: Missed[] };
export type SearchRequest = Partial<Omit<Records["SearchRequest"], "query" | "options">> & {
  query: Part[];
  options: Partial<Records["SearchOptions"]>;
};
/** What one of many queries found. */
export type BatchRow = Records["BatchRow"];
export type Group = Records["GroupRecord"];
export type Model = Records["ModelRecord"];
export type Table = Records["TableRecord"];
/** What a column of the user's own table says, and of how many pictures. */
export type Value = Records["ValueRecord"];
/** Work that is asked for. */
export type Start = Omit<Records["JobRequest"], "collection">;
export type Skipped = Records["SkippedFile"];
export type Folder = Records["Folder"];
export type Session = Records["Session"];
/** What an answer that is no answer may leave out is left out. */
export type Problem = Pick<Records["Problem"], "title" | "status"> & Partial<Records["Problem"]>;

/** Where a picture shows the thing: the query's corners, the top left first, as the hands of a clock go. */
export type Outline = Omit<Records["OutlineRecord"], "corners"> & { corners: [Corner, Corner, Corner, Corner] };

/** A picture of what is sought, or a region of one: the record, with what it must have and must not. */
export type Part = { upload: string; region?: Box } | { picture: string; region?: Box };

export type Marked = Omit<Records["MarkRecord"], "query"> & { query: Part[] };

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
function bare(part: Records["Part"]): Part {
  return Object.fromEntries(Object.entries(part).filter(([, value]) => value !== null)) as Part;
}

export interface Listing {
  order?: string;
  folder?: string;
  text?: string;
  column?: string;
  value?: string;
}

export const api = {
  session: () => json<Session>(address("session")),
  signOut: () => asked(address("session"), written("DELETE")),
  signIn: (token: string) => asked(address("session"), written("POST", { token })),
  /** All collections: those that can be used, and those that cannot just now, with the reason. */
  collections: async () => {
    const told = await json<(Collection | Unusable)[]>(address("collections"));
    const usable = (one: Collection | Unusable): one is Collection => "pictures" in one;
    return { usable: told.filter(usable), unusable: told.filter((one): one is Unusable => !usable(one)) };
  },
  collection: (name: string) => json<Collection>(address("collections", name)),
  picture: (name: string, id: string) => json<Picture>(address("collections", name, "pictures", id)),
  remove: (name: string, id: string) =>
    json<Records["Removed"]>(address("collections", name, "pictures", id), written("DELETE")),
  folders: (name: string) => json<Folder[]>(address("collections", name, "folders")),
  skipped: (name: string) => json<Skipped[]>(address("collections", name, "skipped")),
  marks: async (name: string) => {
    const told = await json<Records["MarkRecord"][]>(address("collections", name, "marks"));
    return told.map((item) => ({ ...item, query: item.query.map(bare) }));
  },
  /** Some of the groups: those behind one. */
  groups: (name: string, limit: number, after: string | null) =>
    json<Group[]>(`${address("collections", name, "groups")}?limit=${limit}${after ? `&after=${after}` : ""}`),
  group: (name: string, id: string) => json<Group>(address("collections", name, "groups", id)),
  upload: (id: string) => json<Upload>(address("uploads", id)),
  /** A picture on another server, where whoever runs this service lets it fetch from there. */
  remote: (url: string) => json<Upload>(address("uploads", "remote"), written("POST", { url })),
  keep: (id: string) => json<Upload>(address("uploads", id, "keep"), written("POST")),
  job: (id: string) => json<Job>(address("jobs", id)),
  batchTable: (id: string) => json<BatchRow[]>(address("jobs", id, "table")),
  table: (name: string) => json<Table>(address("collections", name, "table")),
  putLinks: (name: string, links: Record<string, string>) => json<Table>(address("collections", name, "table", "links"), written("PUT", { links })),
  values: (name: string, column: string) => json<Value[]>(`${address("collections", name, "table", "values")}?column=${encodeURIComponent(column)}`),
  putTable: (name: string, file: Blob) =>
    json<Table>(address("collections", name, "table"), {
      method: "PUT",
      headers: { ...OWN, "Content-Type": "text/csv" },
      body: file,
    }),
  start: (kind: Start["kind"], collection: string, how: Partial<Start> = {}) =>
    json<Job>(address("jobs"), written("POST", { ...how, kind, collection })),
  models: () => json<Model[]>(address("models")),
  serverFolders: (name: string) => json<Records["ServerFolder"]>(`${address("folders")}?name=${encodeURIComponent(name)}`),
  manifest: (collection: string, url: string, use: "add" | "batch") =>
    json<Job>(address("collections", collection, "manifest"), written("POST", { url, use })),
  cancel: (id: string) => json<Job>(address("jobs", id), written("DELETE")),
  /** `region` is where the picture shows it, of what is right. */
  mark: (name: string, query: Part[], picture: string, mark: Mark | null, region: Box | null = null) =>
    json<Records["Marked"]>(address("collections", name, "marks"), written("PUT", { query, picture, mark, region })),

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
  batchFile: (id: string) => `${address("jobs", id, "table")}?format=csv`,
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

/** Sends pictures: those that are to stay in a collection, or those that are each to be searched for. */
export function sendPictures(
  collection: string,
  what: "pictures" | "batch/files",
  files: File[],
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<Job> {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return sent(`${address("collections", collection)}/${what}`, form, null, onProgress, signal);
}
