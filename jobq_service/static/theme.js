// Set before anything is drawn, so that the page does not flash: the theme somebody chose here, else the system's.
const chosen = localStorage.getItem("jobq-theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
