// The page's address says what is open, so that a reload comes back to it; on Spaces the outer page's too.
export function setAddress(name, value, record) {
  const address = new URL(location.href);
  if (address.searchParams.get(name) === value) return;
  address.searchParams.set(name, value);
  history[record ? "pushState" : "replaceState"](history.state, "", address);
  if (parent !== window) parent.postMessage({ queryString: address.search.slice(1) }, "*");
}
