// Numbers as they stand on the page.
export const percent = (share, digits = share < 0.0995 ? 1 : 0) => `${(100 * share).toFixed(digits)}%`;

// What one of so many tokens gets of attention: with two digits where one would leave nothing of an even share.
export const shareOf = (share, tokens) => percent(share, tokens > 500 ? 2 : 1);

// A name within a sentence: "an airplane", "a cat".
export const article = (name) => `${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
