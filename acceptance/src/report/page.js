const buttons = [...document.querySelectorAll("nav button")];
const sections = [...document.querySelectorAll("section")];
function show() {
  const wanted = new Set(buttons.filter(b => b.ariaPressed === "true").map(b => b.dataset.status));
  for (const section of sections) {
    const rules = [...section.querySelectorAll(".rule")];
    for (const rule of rules) rule.hidden = !wanted.has(rule.dataset.status);
    section.hidden = rules.length > 0 && rules.every(rule => rule.hidden);
  }
}
for (const button of buttons) {
  button.addEventListener("click", () => {
    button.ariaPressed = String(button.ariaPressed !== "true");
    show();
  });
}
// A link to a rule shows it, whatever the filter.
function follow() {
  const rule = document.getElementById(location.hash.slice(1));
  if (!rule || !rule.classList.contains("rule")) return;
  rule.hidden = rule.closest("section").hidden = false;
  rule.open = true;
  rule.scrollIntoView();
}
addEventListener("hashchange", follow);
show();
follow();
