/** Which keys do what. */

import { Dialog } from "./parts";

const KEYS: [string, string[], string][] = [
  ["Anywhere", ["Ctrl", "V"], "search with the picture on the clipboard"],
  ["Anywhere", ["Ctrl", "Z"], "take back what you did last: a box, a mark"],
  ["Anywhere", ["Ctrl", "Shift", "Z"], "do it again"],
  ["Anywhere", ["?"], "this list"],
  ["On a box", ["← ↑ → ↓"], "move it"],
  ["On a box", ["Shift", "← ↑ → ↓"], "make it larger or smaller"],
  ["On a box", ["Delete"], "remove it"],
  ["Among pictures", ["← ↑ → ↓"], "go from one to the next"],
  ["Among pictures", ["Enter"], "open it"],
  ["On a found picture", ["1"], "right"],
  ["On a found picture", ["2"], "wrong"],
  ["On a found picture", ["0"], "neither"],
  ["Picture open", ["← →"], "the one before, the next one"],
  ["Picture open", ["+ −"], "closer, farther"],
  ["Picture open", ["F"], "lay it over yours, and take it off"],
  ["Picture open", ["L"], "lines between the points: some, all, none"],
  ["Picture open", ["Esc"], "back"],
];

export function Keys({ onClose }: { onClose: () => void }) {
  return (
    <Dialog name="Keys" onClose={onClose}>
      <div class="row">
        <h2>Keys</h2>
        <button type="button" class="end" onClick={onClose}>
          Close
        </button>
      </div>
      <table class="keys">
        <tbody>
          {KEYS.map(([where, keys, what], place) => (
            <tr>
              <th scope="row">{KEYS[place - 1]?.[0] === where ? "" : where}</th>
              <td>
                {keys.map((key) => (
                  <kbd>{key}</kbd>
                ))}
              </td>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}
