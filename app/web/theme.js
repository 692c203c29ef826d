const NAME = "verbatim.theme";

/** Light or dark as the system has it, until the button says otherwise. */
export function useTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (localStorage.getItem(NAME) ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => {
    document.documentElement.style.colorScheme = localStorage.getItem(NAME) ?? "";
    button.textContent = isDark() ? "Light" : "Dark";
  };
  button.onclick = () => {
    localStorage.setItem(NAME, isDark() ? "light" : "dark");
    show();
  };
  system.onchange = show;
  show();
}
