// What a page does better with a script than without one: copying a code, saying that a part of a page did not come.
// Everything works without it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    return; // the clipboard is refused: the text stays on the page, to be selected
  }
  const label = button.querySelector("[data-label]");
  const before = label.textContent;
  label.textContent = button.dataset.done;
  setTimeout(() => { label.textContent = before; }, 2000);
});

const revealCopyButtons = (root) => {
  if (!navigator.clipboard) return; // only a secure page may copy
  for (const button of root.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
};
revealCopyButtons(document);
document.addEventListener("htmx:load", (event) => revealCopyButtons(event.target));

// htmx puts nothing in when the connection or the server fails, so the page says it.
const trouble = document.getElementById("trouble");
if (trouble) {
  for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, () => { trouble.hidden = false; });
  }
  document.addEventListener("htmx:beforeRequest", () => { trouble.hidden = true; });
  // Asked for anew and not reloaded: a page that a form made would be sent a second time.
  trouble.querySelector("[data-reload]").addEventListener("click", () => { location.assign(location.pathname + location.search); });
}
