// The theme: the system's, or what the viewer chose. Runs before the page is drawn, so that it does not flash.
(() => {
  const order = ["system", "light", "dark"];
  let theme = "system";
  try {
    theme = localStorage.getItem("theme") || "system";
  } catch { /* storage is closed to this page: the system's theme then */ }
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${theme}`;
  };
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme")?.addEventListener("click", () => {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      try {
        localStorage.setItem("theme", theme);
      } catch { /* it lasts until the page is left */ }
      apply();
    });
  });
})();
