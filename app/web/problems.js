/** What goes wrong, in words for people who never heard of the API. */

const FORMATS =
  "wav, mp3, m4a, aac, flac, ogg, opus, webm, wma, aiff, amr, caf, wv and ac3, " +
  "and the sound of mp4, mov, mkv, avi, flv, mpeg and ts";

/** What the chooser of files offers, beside what browsers know to be sound or film. */
export const ACCEPTED =
  "audio/*,video/*,.flac,.m4a,.opus,.oga,.mka,.mkv,.wma,.aiff,.aif,.amr,.caf,.wv,.ac3,.ts,.mts";

/**
 * What the server said against a request; `status` is 0 if it said nothing at all, `retryAfter`
 * is in seconds and NaN if it named no time.
 */
export class ApiError extends Error {
  constructor(message, status, retryAfter = NaN) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Of the answer's body; `headers` has a `get`. */
export function refusal(status, headers, body) {
  const retryAfter = parseFloat(headers.get("retry-after"));
  let message;
  try {
    message = JSON.parse(body).error.message;
  } catch {
    message = `The server answered with status ${status}.`; // a proxy's page, not the API's words
  }
  const isSilent = retryAfter >= 0 && !/try again/i.test(message);
  const when = isSilent ? ` Try again in ${retryAfter} s.` : "";
  return new ApiError(message + when, status, retryAfter);
}

export function unreachable() {
  return new ApiError("The server cannot be reached. Is it running, and are you online?", 0);
}

export function tooLarge(bytes, limit) {
  return new ApiError(
    `This file is ${megabytes(bytes)}, the limit here is ${megabytes(limit)}. ` +
      "Saved as mp3, m4a or opus, speech takes a tenth of the room of a wav; " +
      "or cut it into parts.",
    413,
  );
}

/** An error of the API, said again for the person who chose the file. */
export function inWords(error, file) {
  // The words are OpenAI's (docs/contract.md §4).
  const limit = /content size limit \((\d+)\)/.exec(error.message);
  if (limit) return tooLarge(file.size, Number(limit[1]));
  if (/^(Invalid|Unrecognized) file format/.test(error.message)) {
    const message = `No sound was found in this file. Verbatim reads ${FORMATS}.`;
    return new ApiError(message, error.status);
  }
  if (/might be corrupted/.test(error.message)) {
    const message = `This file is damaged, or Verbatim cannot read its kind. It reads ${FORMATS}.`;
    return new ApiError(message, error.status);
  }
  return error;
}

/** As OpenAI counts them: 25 MB are 25 times 1024 times 1024 bytes. */
export function megabytes(bytes) {
  const value = bytes / 1024 ** 2;
  return value < 0.1 ? `${Math.ceil(bytes / 1024)} kB` : `${Number(value.toFixed(1))} MB`;
}
