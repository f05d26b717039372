/** The first view: give a picture, or start from one of the collection. */

import { useRef, useState } from "preact/hooks";
import type { Shared } from "./app";
import { Grid } from "./grid";
import { to } from "./route";
import { bytes, number } from "./words";

const touches = matchMedia("(pointer: coarse)").matches;
const screens = typeof navigator.mediaDevices?.getDisplayMedia === "function" && !touches;

/** One frame of a window or screen that the user points out. */
async function ofScreen(): Promise<Blob | null> {
  const stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
  try {
    const video = document.createElement("video");
    video.srcObject = stream;
    video.muted = true;
    await video.play();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    return await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

/** Buttons to choose, take or capture a picture. */
export function Give(props: {
  give: (file: Blob) => void;
  giveMany: (files: File[]) => void;
  giveAddress: (url: string) => void;
  hosts: string[];
  limit: number;
}) {
  const { give, giveMany, giveAddress, hosts, limit } = props;
  const choose = useRef<HTMLInputElement>(null);
  const take = useRef<HTMLInputElement>(null);
  const taken = (event: { currentTarget: HTMLInputElement }) => {
    giveMany([...(event.currentTarget.files ?? [])]);
    event.currentTarget.value = "";
  };
  const capture = () =>
    ofScreen().then(
      (file) => file && give(file),
      () => undefined, // whoever says no in the browser's question means no
    );
  return (
    <>
      <div class="row centred">
        <input ref={choose} class="unseen" tabIndex={-1} type="file" multiple aria-label="Picture to search with" onChange={taken} />
        <button type="button" class="strong" onClick={() => choose.current?.click()}>
          Choose a picture
        </button>
        {touches && (
          <>
            <input ref={take} class="unseen" tabIndex={-1} type="file" accept="image/*" capture="environment" aria-label="Photograph to search with" onChange={taken} />
            <button type="button" class="strong" onClick={() => take.current?.click()}>
              Take a photograph
            </button>
          </>
        )}
        {screens && (
          <button type="button" onClick={() => void capture()}>
            Capture the screen
          </button>
        )}
      </div>
      {hosts.length > 0 && (
        <form
          class="row centred"
          onSubmit={(event) => {
            event.preventDefault();
            giveAddress(String(new FormData(event.currentTarget).get("url")));
          }}
        >
          <input name="url" type="url" required aria-label="Address of a picture" placeholder={`Address of a picture on ${hosts[0]}${hosts.length > 1 ? ", …" : ""}`} />
          <button type="submit">Search</button>
        </form>
      )}
      <p class="quiet">Up to {bytes(limit)}. Your picture is not kept, and nothing leaves this service.</p>
    </>
  );
}

export function Start(shared: Shared) {
  const { collection, version, mayWrite, startJob } = shared;
  const [text, setText] = useState("");
  return (
    <div class="start">
      <section class="give" aria-labelledby="give">
        <h1 id="give">Find every picture that shows the same thing</h1>
        <p class="wide-only">Drop a picture here, or paste one with Ctrl+V.</p>
        <Give {...shared} limit={collection.limits.upload_bytes} />
      </section>
      <section aria-labelledby="or">
        <div class="row above">
          <h2 id="or">
            {collection.pictures ? "Or start from one of these" : "No pictures yet"}
          </h2>
          {collection.pictures > 12 && (
            <input
              class="end"
              type="search"
              placeholder="Find by name"
              aria-label="Find pictures by name"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          )}
        </div>
        {collection.pictures > 0 ? (
          <Grid
            collection={collection.name}
            listing={{ text }}
            version={version}
            href={(picture) => to(collection.name, { view: "search", query: [{ picture: picture.id }] })}
            does="search with it"
            empty={`None of the ${number(collection.pictures)} names has “${text}” in it.`}
          />
        ) : (
          <div class="card">
            {collection.job ? (
              <p>Pictures are on their way: they can be searched as soon as they are here.</p>
            ) : (
              <p>
                {mayWrite
                  ? "Add pictures with the button above."
                  : "Whoever runs this service can add some."}
              </p>
            )}
            {mayWrite && collection.roots.length > 0 && !collection.job && (
              <button type="button" class="strong" onClick={() => startJob("index")}>
                Look for pictures in the folder
              </button>
            )}
          </div>
        )}
      </section>
    </div>
  );
}
