// The attendance app: opens the database of who is signed in, and shows it. Attributes of its
// element: data-user, data-organization, data-version.

import { claim, type Claim, onAsked, takeOver } from "../attend/claim.ts";
import { databaseName, Store, type Trouble } from "../attend/database.ts";
import { onNewVersion } from "../attend/renew.ts";
import { button, el, notice } from "../attend/ui/dom.ts";
import { Frame } from "../attend/ui/frame.ts";
import { text } from "../attend/ui/words.ts";

export default async function start(root: HTMLElement): Promise<void> {
  const { user = "", organization = "", version = "" } = root.dataset;
  const screen = root.querySelector<HTMLElement>('[data-part="screen"]') as HTMLElement;
  const show = (title: string, ...nodes: HTMLElement[]): void =>
    screen.replaceChildren(el("h1", {}, title), ...nodes);
  if (!isSecureContext || !("locks" in navigator)) {
    show(text("today"), notice("danger", null, text("insecure")));
    return;
  }
  void navigator.serviceWorker?.register("/attend/sw.js").catch((error: unknown) => {
    console.error("attend: service worker", error);
  });
  const name = databaseName(organization, user);

  const elsewhere = (): void =>
    show(
      text("elsewhere_title"),
      el("p", {}, text("elsewhere")),
      button(text("use_here"), () => takeOver(name).then(run), { kind: "primary" }),
    );

  const run = async (held: Claim): Promise<void> => {
    const troubles: Trouble[] = [];
    let frame: Frame | undefined;
    let store: Store;
    try {
      store = await Store.open(name, (what) => (frame ? frame.trouble(what) : troubles.push(what)));
    } catch (error) {
      console.error("attend: open", error);
      const again = button(text("reload"), () => location.reload());
      show(text("today"), notice("danger", null, text("broken"), again));
      return;
    }
    const csrf = document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? "";
    const shown = (frame = new Frame(root, store, user, csrf, held));
    troubles.forEach((what) => shown.trouble(what));
    const letGo = async (): Promise<void> => {
      await shown.stop();
      await store.flush().catch(() => undefined);
      await store.close();
      held.release();
      location.reload();
    };
    onAsked(name, () => void letGo());
    // What this tab still has in memory is older than what the other has saved by now.
    void held.lost.then(() => location.reload());
    if (navigator.serviceWorker) {
      onNewVersion(navigator.serviceWorker, version, () => shown.renew(letGo));
    }
    await shown.start();
  };

  const held = await claim(name);
  if (held === null) elsewhere();
  else await run(held);
}
