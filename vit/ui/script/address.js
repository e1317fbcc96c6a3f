// The page's address says what is open, so that a reload comes back to it; on Spaces the outer page's too.
const asked = (name) => new URLSearchParams(location.search).get(name);

let run = asked("run"); // the one on show, which the address may have left by the browser's Back

export function setAddress(name, value, record) {
  if (name === "run") run = value;
  const address = new URL(location.href);
  if (asked(name) === value) return;
  address.searchParams.set(name, value);
  history[record ? "pushState" : "replaceState"](history.state, "", address);
  if (parent !== window) parent.postMessage({ queryString: address.search.slice(1) }, "*");
}

// Whether Back or Forward has led to another run, or to none.
export const leftRun = () => asked("run") !== run;
