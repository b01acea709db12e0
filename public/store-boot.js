// Starts the store's program. One that cannot start, or stops, tells the page like any other fatal report.
import start from "./store.js";

const fatal = (error) => postMessage(JSON.stringify({ type: "fatal", reason: String(error?.message ?? error) }));

addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  fatal(event.reason);
});

// What is asked before the program listens is not lost.
const early = [];
onmessage = (event) => early.push(event);

try {
  await start({ module_or_path: new URL("./store_bg.wasm", import.meta.url) });
  for (const event of early) onmessage(event);
} catch (error) {
  fatal(error);
}
