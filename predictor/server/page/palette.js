/** The theme's colours for canvases, which know no CSS variables; and the choice of a theme. */

const KEPT = "forescale.theme";
const NAMES = ["ink", "muted", "grid", "line", "paper", "model", "actual", "peak", "needed", "observed"];

/** @returns {Record<string, string>} */
export function palette() {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const found = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

/** The same colour, seen through. */
export function faded(colour, opacity) {
  const parts = colour.match(/[\d.]+/g) ?? ["0", "0", "0"];
  return `rgba(${parts[0]}, ${parts[1]}, ${parts[2]}, ${opacity})`;
}

/** Keep the select and the page in step; `onChange` when colours have changed, by hand or by the system. */
export function followTheme(select, onChange) {
  select.value = document.documentElement.dataset.theme ?? "auto";
  select.addEventListener("change", () => {
    document.documentElement.dataset.theme = select.value;
    try {
      localStorage.setItem(KEPT, select.value);
    } catch {
      // Storage is forbidden: the choice lasts as long as the page.
    }
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
