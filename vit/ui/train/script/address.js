// The page's address is the run's link, so that a reload comes back to it; on Spaces the outer page's too.
export function showAddress(run) {
  const address = new URL(location.href);
  if (address.searchParams.get("run") === run) return;
  address.searchParams.set("run", run);
  history.replaceState(history.state, "", address);
  if (parent !== window) parent.postMessage({ queryString: address.search.slice(1) }, "*");
}
