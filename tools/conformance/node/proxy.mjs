// Loaded before a client with --import: Node 20's fetch knows no HTTPS_PROXY, so its
// own switch is set from the outside. The client itself stays as it is.
import { EnvHttpProxyAgent, setGlobalDispatcher } from "undici";

setGlobalDispatcher(new EnvHttpProxyAgent());
