// Starts the page: a static file, because the page's security policy forbids scripts inside HTML.
import start from "./app.js";

const boot = document.getElementById("boot");

try {
  await start({ module_or_path: new URL("./app_bg.wasm", import.meta.url) });
  boot.remove();
} catch (error) {
  boot.textContent = "Fresco could not start: " + (error?.message ?? error);
}
