// Where the live routes lie for this page. This module comes from one of them, so wherever it came
// from, they are beside it: below `server.baseUrlPath`, below the path under which another app mounts
// this one, or below a prefix that a proxy strips and the server never sees.

const LIVE = "../../../../"; // from static/VERSION/components/shared/

/**
 * The live route of these names, such as ["decode", run]; what is null in `query` is left out.
 * @param {(string | number)[]} names @param {Record<string, string | number | null>} [query]
 */
export function liveAddress(names, query = {}) {
  const address = new URL(LIVE + names.map(encodeURIComponent).join("/"), import.meta.url);
  for (const [key, value] of Object.entries(query)) {
    if (value !== null) address.searchParams.set(key, String(value));
  }
  return address;
}

/**
 * The same for a socket: behind TLS where the page is.
 * @param {(string | number)[]} names @param {Record<string, string | number | null>} [query]
 */
export function liveSocket(names, query = {}) {
  const address = liveAddress(names, query);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address;
}
