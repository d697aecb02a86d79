// Connects to a gateway with socket.io-client and prints one JSON line for each thing that happens.
// node listen.mjs URL '{"transports": […], "auth": {…}, "query": {…}}'
import { io } from "socket.io-client";

const [url, options] = process.argv.slice(2);
const socket = io(url, { reconnection: false, ...JSON.parse(options) });
const say = (what, value) => process.stdout.write(JSON.stringify({ what, value }) + "\n");

socket.on("connect", () => say("connect", socket.io.engine.transport.name));
socket.on("connect_error", (error) => say("refused", error.message));
socket.on("disconnect", (reason) => say("disconnect", reason));
socket.onAny((name, data) => say(name, data));
process.stdin.on("end", () => process.exit(0)).resume();
