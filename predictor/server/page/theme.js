// Runs before the first paint, so that a remembered choice does not flash.
(() => {
  let kept = null;
  try {
    kept = localStorage.getItem("forescale.theme");
  } catch {
    // Storage is forbidden: follow the system.
  }
  document.documentElement.dataset.theme = kept === "light" || kept === "dark" ? kept : "auto";
})();
