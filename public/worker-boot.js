// Starts the worker's program. A program that cannot start, or stops, tells the page like any other fatal report.
import start from "./worker.js";

const fatal = (error) => postMessage(JSON.stringify({ type: "fatal", reason: String(error?.message ?? error) }));

addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  fatal(event.reason);
});

try {
  await start({ module_or_path: new URL("./worker_bg.wasm", import.meta.url) });
} catch (error) {
  fatal(error);
}
