/** Another network for the collection: begun, gone on with, gone back from. */

import { useEffect, useState } from "preact/hooks";
import { type Collection, type Job, type Model, type Start, api } from "./api";
import { Dialog } from "./parts";
import { counted, number } from "./words";

interface NetworkProps {
  collection: Collection;
  onJob: (job: Job) => void;
  complain: (fault: unknown) => void;
  onClose: () => void;
}

export function Network({ collection, onJob, complain, onClose }: NetworkProps) {
  const [models, setModels] = useState<Model[] | null>(null);
  const [chosen, setChosen] = useState("");
  const [letGo, setLetGo] = useState(false);
  const [forgetting, setForgetting] = useState(false);
  useEffect(() => {
    api.models().then(setModels, (fault) => (complain(fault), onClose()));
  }, []);
  const { beside } = collection;
  const [kept, unfinished] = [beside?.kept ? beside : null, beside && !beside.kept ? beside : null];
  const others = models?.filter(({ checksum }) => checksum !== collection.model_checksum && checksum !== kept?.checksum) ?? [];
  const begun = unfinished && others.find(({ checksum }) => checksum === unfinished.checksum);
  const start = (kind: Start["kind"], how: Partial<Start> = {}) => {
    onClose();
    api.start(kind, collection.name, letGo ? { ...how, allow_removal: true } : how).then(onJob, complain);
  };
  const model = chosen || others[0]?.name;
  return (
    <Dialog name="Another network" onClose={onClose}>
      <h2>Another network</h2>
      <p>
        Pictures are told apart by a network; here it is <strong>{collection.model}</strong>. Another one can look at all of them anew.
        That takes as long as bringing them in did. You can search meanwhile; all goes over at once when it is done, and you can go back.
      </p>
      {unfinished ? (
        <>
          <p>
            <strong>{unfinished.model}</strong> has looked at {number(unfinished.done)} of {counted(collection.pictures, "picture")}.
            {!begun && " It is not among those that are here any more, so that it cannot go on."}
          </p>
          {begun && <LetGo value={letGo} onChange={setLetGo} />}
          <div class="row end">
            <button type="button" onClick={onClose}>
              Close
            </button>
            <button type="button" class="danger" onClick={() => start("discard_upgrade")}>
              Throw that away
            </button>
            {begun && (
              <button type="button" class="strong" onClick={() => start("upgrade", { model: begun.name })}>
                Go on
              </button>
            )}
          </div>
        </>
      ) : (
        <>
          {kept && (
            <>
              <p>
                Before, it was <strong>{kept.model}</strong>, and what it saw is kept.
              </p>
              <div class="row">
                <button type="button" onClick={() => start("undo_upgrade")}>
                  Go back to {kept.model}
                </button>
                {forgetting ? (
                  <button type="button" class="danger" onClick={() => start("forget_upgrade")}>
                    Yes, there is no way back then
                  </button>
                ) : (
                  <button type="button" onClick={() => setForgetting(true)}>
                    Let that go…
                  </button>
                )}
              </div>
            </>
          )}
          {others.length > 0 ? (
            <fieldset class="choice">
              <legend>{kept ? "Or go over to" : "Go over to"}</legend>
              {others.map(({ name }) => (
                <label class="check">
                  <input type="radio" name="network" value={name} checked={name === model} onChange={() => setChosen(name)} />
                  {name}
                </label>
              ))}
            </fieldset>
          ) : (
            models && <p class="quiet">No other network is here. Whoever runs camseek on this machine can import one.</p>
          )}
          {(others.length > 0 || kept) && <LetGo value={letGo} onChange={setLetGo} />}
          {others.length > 0 && kept && <p class="quiet">Going over lets go of what {kept.model} saw.</p>}
          <div class="row end">
            <button type="button" onClick={onClose}>
              Close
            </button>
            {model && (
              <button type="button" class="strong" onClick={() => start("upgrade", { model })}>
                Begin
              </button>
            )}
          </div>
        </>
      )}
    </Dialog>
  );
}

function LetGo({ value, onChange }: { value: boolean; onChange: (value: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={value} onChange={() => onChange(!value)} />
      Let pictures go whose files are gone: they cannot be looked at anew
    </label>
  );
}
