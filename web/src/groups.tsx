/** Pictures that show the same thing, found without a question. */

import { useEffect, useState } from "preact/hooks";
import { type Group, Refused, api } from "./api";
import type { Shared } from "./app";
import { to } from "./route";
import { counted, fileName } from "./words";

/** So many at a time. */
const SOME = 100;

export function Groups({ collection, route, version, complain, mayWrite, startJob }: Shared) {
  const [groups, setGroups] = useState<Group[] | null>(null);
  const [more, setMore] = useState(false);
  const shown = (before: Group[]) => (found: Group[]) => {
    setGroups([...before, ...found]);
    setMore(!route.id && found.length === SOME);
  };
  useEffect(() => {
    setGroups(null);
    const asking = route.id ? api.group(collection.name, route.id).then((group) => [group]) : api.groups(collection.name, SOME, null);
    asking.then(shown([]), (fault: unknown) => {
      setGroups([]);
      if (!(fault instanceof Refused && fault.problem.status === 404)) complain(fault);
    });
  }, [collection.name, route.id, version]);
  if (!groups) return <p aria-busy="true" />;
  return (
    <section class="text">
      <div class="row above">
        <h1>{route.id ? counted(groups[0]?.size ?? 0, "picture that belongs together", "pictures that belong together") : "Pictures that belong together"}</h1>
        {route.id ? (
          <a class="end" href={to(collection.name, { view: "groups" })}>
            All groups
          </a>
        ) : (
          mayWrite && (
            <button type="button" class="end" onClick={() => startJob("groups")}>
              {groups.length ? "Look again" : "Look for them"}
            </button>
          )
        )}
      </div>
      {groups.length === 0 && (
        <p class="quiet">
          {route.id
            ? "There is no such group any more."
            : "Pictures that show the same thing can be brought together. It takes a while, and you can go on meanwhile."}
        </p>
      )}
      {groups.map((group) => (
        <div class="group" key={group.id}>
          {!route.id && (
            <h2>
              <a href={to(collection.name, { view: "groups", id: group.id })}>{counted(group.size, "picture")}</a>
            </h2>
          )}
          <ul class="thumbs large">
            {group.pictures.map((picture) => (
              <li key={picture.id}>
                <a href={to(collection.name, { view: "search", query: [{ picture: picture.id }] })} title={picture.name} aria-label={`${fileName(picture.name)}: search with it`}>
                  <img src={api.thumbnail(collection.name, picture.id)} alt="" loading="lazy" />
                </a>
              </li>
            ))}
          </ul>
        </div>
      ))}
      {more && (
        <button type="button" onClick={() => void api.groups(collection.name, SOME, groups.at(-1)?.id ?? null).then(shown(groups), complain)}>
          More groups
        </button>
      )}
    </section>
  );
}
