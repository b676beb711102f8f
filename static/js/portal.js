// What a page does better with a script than without one: copying a code. Everything works without it.
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
