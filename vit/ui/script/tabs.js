// The address holds tab and run: Back and Forward walk them, a reload opens the one that was open. Arrow keys move, too.
import { leftRun, setAddress } from "./address.js";
import { listen } from "./links.js";
import { closeOnTab } from "./lists.js";

const nameOf = (tab) => tab.dataset.tabId;
const asked = () => new URLSearchParams(location.search).get("tab");
const tabs = () => [...document.querySelectorAll("[role=tablist] [role=tab]")].filter((tab) => tab.offsetParent);

export function mount() {
  closeOnTab();
  listen();
  let walking = false; // the address has led to the tab, and not the other way round
  const walk = (name) => {
    walking = true;
    const tab = tabs().find((each) => nameOf(each) === name);
    tab?.click();
    walking = false;
    return tab;
  };
  openLinked(walk);
  document.addEventListener("click", ({ target }) => {
    const tab = target.closest?.("[role=tab]");
    if (tab && !walking) setAddress("tab", nameOf(tab), true);
  });
  addEventListener("popstate", () => {
    if (leftRun()) return location.reload();
    walk(asked() ?? "train");
  });
  document.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key], all = tabs(), at = all.indexOf(event.target);
    if (!by || at < 0) return;
    event.preventDefault();
    const next = all[(at + by + all.length) % all.length];
    next.click();
    next.focus();
  });
}

// The tab that a link names, as soon as there are tabs: components are mounted one by one. Who was faster stays where he is.
function openLinked(walk) {
  const name = asked();
  if (!name || open()) return;
  const observer = new MutationObserver(() => { if (open()) observer.disconnect(); });
  observer.observe(document.body, { childList: true, subtree: true });

  function open() {
    const all = tabs(), pressed = all.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
    if (pressed > 0) setAddress("tab", nameOf(all[pressed]), true);
    else walk(name);
    return all.length > 0;
  }
}
