"use strict";
// Runs before anything is painted, so that a dark page does not flash white.
(() => {
  let stored = null;
  try { stored = localStorage.getItem("pairlens-theme"); } catch { /* files may have no storage */ }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = stored || (dark ? "dark" : "light");
})();
