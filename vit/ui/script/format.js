// Numbers as they stand on the page.
export const percent = (share, digits = share < 0.0995 ? 1 : 0) => `${(100 * share).toFixed(digits)}%`;

// A name within a sentence: "an airplane", "a cat".
export const article = (name) => `${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
