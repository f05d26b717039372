/** Pictures that are neither here nor in the browser: folders of the service's own machine, and manifests of others. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Job, api } from "./api";
import { Dialog } from "./parts";
import { fileName, sentence } from "./words";

/** Goes through the folders that may be added, from one into the next. */
export function AddFolder(props: { collection: string; onJob: (job: Job) => void; complain: (fault: unknown) => void; onClose: () => void }) {
  const [here, setHere] = useState("");
  const [folders, setFolders] = useState<string[] | null>(null);
  const [fault, setFault] = useState("");
  useEffect(() => {
    setFolders(null);
    setFault("");
    api.serverFolders(here).then(
      (told) => setFolders(told.folders),
      (told: unknown) => (setFolders([]), setFault(told instanceof Error ? sentence(told.message) : String(told))),
    );
  }, [here]);
  const add = () => {
    props.onClose();
    api.start("index", props.collection, { folder: here }).then(props.onJob, props.complain);
  };
  const steps = here ? here.split("/") : [];
  return (
    <Dialog name="Add a folder" onClose={props.onClose}>
      <h2>Add a folder of this machine</h2>
      <p class="quiet">All pictures in it, and in the folders in it, come into the collection; they stay where they are.</p>
      <nav class="row tight" aria-label="Where you are">
        <button type="button" class="link" disabled={!here} onClick={() => setHere("")}>
          Folders
        </button>
        {steps.map((step, place) => (
          <>
            <span aria-hidden="true">›</span>
            <button type="button" class="link" disabled={place === steps.length - 1} onClick={() => setHere(steps.slice(0, place + 1).join("/"))}>
              {step}
            </button>
          </>
        ))}
      </nav>
      <ul class="folders" aria-busy={folders === null} tabIndex={0} aria-label="Folders in it">
        {folders?.map((name) => (
          <li key={name}>
            <button type="button" class="quietly" onClick={() => setHere(name)}>
              {fileName(name)} <span class="quiet end" aria-hidden="true">›</span>
            </button>
          </li>
        ))}
        {folders?.length === 0 && <li class="quiet">{fault || "No further folder is in it."}</li>}
      </ul>
      <div class="row end">
        <button type="button" onClick={props.onClose}>
          Leave it
        </button>
        <button type="button" class="strong" disabled={!here || Boolean(fault)} onClick={add}>
          {here ? `Add ${fileName(here)}` : "Choose one"}
        </button>
      </div>
    </Dialog>
  );
}

/** Asks for the address of a IIIF manifest, and what its pictures are for. */
export function Manifest(props: { collection: string; hosts: string[]; onJob: (job: Job, use: "add" | "batch") => void; complain: (fault: unknown) => void; onClose: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const ask = (use: "add" | "batch") => {
    if (!field.current?.reportValidity()) return;
    const url = field.current.value.trim();
    props.onClose();
    api.manifest(props.collection, url, use).then((job) => props.onJob(job, use), props.complain);
  };
  return (
    <Dialog name="Pictures of a IIIF manifest" onClose={props.onClose}>
      <h2>Pictures of a IIIF manifest</h2>
      <label class="stacked">
        Its address
        <input ref={field} type="url" required placeholder="https://…/manifest.json" />
      </label>
      <p class="quiet">They are fetched from {props.hosts.join(", ")}, and from nowhere else.</p>
      <div class="row end">
        <button type="button" onClick={props.onClose}>
          Leave it
        </button>
        <button type="button" onClick={() => ask("batch")}>
          Search for each
        </button>
        <button type="button" class="strong" onClick={() => ask("add")}>
          Add them
        </button>
      </div>
    </Dialog>
  );
}
