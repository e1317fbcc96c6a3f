// What stays through a reload, as long as the browser's tab is open; in a browser that keeps nothing, nothing does.

// What was remembered under a name, or null.
export function recall(name) {
  try { return JSON.parse(sessionStorage.getItem(name)); } catch { return null; }
}

// value: null to forget it.
export function remember(name, value) {
  try {
    if (value === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, JSON.stringify(value));
  } catch { /* it keeps nothing */ }
}
