/** What is known of a picture besides how it looks. All of it is text that strangers wrote. */

import { type Picture, api } from "./api";
import { to } from "./route";
import { bytes, date, number } from "./words";

/** Links alone that lead to another page; what else a table may hold is text. */
function isLink(text: string): boolean {
  return /^https?:\/\/[^\s]+$/i.test(text);
}

/** What a table says: it leads where it is, or where its column leads, and to all pictures of which the same is said. */
function Said({ value, leads, all }: { value: string; leads: string | undefined; all: string }) {
  const address = isLink(value) ? value : leads && isLink(leads) ? leads : null;
  if (!address)
    return (
      <a href={all} title="All of which this is said">
        {value}
      </a>
    );
  return (
    <>
      <a href={address} rel="noreferrer noopener" target="_blank">
        {value}
      </a>{" "}
      {address !== value && (
        <a class="quiet" href={all}>
          all of these
        </a>
      )}
    </>
  );
}

export function About({ collection, picture }: { collection: string; picture: Picture }) {
  const [width, height] = picture.size;
  return (
    <dl class="about">
      {Object.entries(picture.columns ?? {})
        .filter(([, value]) => value)
        .map(([key, value]) => (
          <div>
            <dt>{key}</dt>
            <dd>
              <Said value={value} leads={picture.links?.[key]} all={to(collection, { view: "browse", column: key, value })} />
            </dd>
          </div>
        ))}
      {picture.names.map((name) => (
        <div>
          <dt>File</dt>
          <dd class="name">{name}</dd>
        </div>
      ))}
      <div>
        <dt>Size</dt>
        <dd>
          {number(width)} × {number(height)} pixels, {bytes(picture.bytes)}, {picture.format}
        </dd>
      </div>
      {picture.taken && (
        <div>
          <dt>Taken</dt>
          <dd>{date(picture.taken)}</dd>
        </div>
      )}
      {picture.date && (
        <div>
          <dt>Date</dt>
          <dd>{date(picture.date)}, of its file</dd>
        </div>
      )}
      <div>
        <dt>Look</dt>
        <dd>
          <a href={api.view(collection, picture.id, 2560)} target="_blank" rel="noreferrer">
            Open it large
          </a>
        </dd>
      </div>
    </dl>
  );
}
