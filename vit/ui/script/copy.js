// Links to what is shown, and the way into the clipboard.

// To this page with what is said, but for what is empty.
export function linkTo(said) {
  const link = new URL(location.href.split(/[?#]/)[0]);
  for (const [name, value] of Object.entries(said)) if (value !== "") link.searchParams.set(name, value);
  return link.href;
}

// Says in the note that the link is copied; where the browser lets no page copy, the link is there to be copied by hand.
export async function copyLink(note, link, label, copied) {
  note.hidden = false;
  try {
    await navigator.clipboard.writeText(link);
    note.textContent = copied;
  } catch {
    const field = Object.assign(document.createElement("input"), { readOnly: true, value: link });
    field.setAttribute("aria-label", label);
    note.replaceChildren(field);
    field.select();
  }
}
