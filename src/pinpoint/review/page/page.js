// The review page. All text of documents and labels goes through textContent; nothing is ever parsed as HTML.
"use strict";

const KEYS = 9; // labels with a key of their own
const FOUND = 40; // labels that a search shows
const REASONS = {
  below_threshold: "below the threshold",
  low_label_mass: "the model would rather have said something else",
  no_label_mass: "the model would have said something else",
  no_label_reached_threshold: "no label reached the threshold",
  none_of_these: "none of the labels",
  order_sensitive: "the order of the labels decides",
  not_certified: "not certified",
};

const $ = (id) => document.getElementById(id);
const token = location.hash.slice(1);
let state = null; // of the review
let item = null; // the document that is shown
let offered = []; // labels that the keys choose, in order
let members = new Set(); // where a document may have several labels: those that it is given
let busy = false;
let pictures = []; // addresses of blobs, to be let go
let evidencePlace = -1;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function ask(path, body) {
  const options = { headers: { "X-Pinpoint-Token": token }, cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  if (!response.ok) throw new Error((await response.json()).error);
  return response;
}

function trouble(message) {
  for (const id of ["main", "end"]) $(id).hidden = true;
  $("trouble").hidden = false;
  $("trouble-text").textContent = message;
}

function saved(message, bad) {
  $("saved").textContent = message;
  $("saved").className = bad ? "bad" : "";
}

// ------------------------------------------------------------------ what is shown

async function show() {
  $("count").textContent = `${state.done} of ${state.total}`;
  $("progress").max = state.total;
  $("progress").value = state.done;
  $("undo").disabled = !state.undoable;
  $("main").hidden = state.next === null;
  $("end").hidden = state.next !== null;
  if (state.next === null) {
    item = null;
    $("end-text").textContent = `${state.total} ${state.total === 1 ? "document" : "documents"}. What was chosen is in ${state.file}; to teach a task with it:`;
    $("end-command").textContent = `python -m pinpoint teach ${state.file}${state.several ? " --multi-label" : ""}`;
    $("end-undo").hidden = !state.undoable;
    $("end-undo").focus();
    return;
  }
  item = await (await ask(`/api/item?number=${state.next}`)).json();
  evidencePlace = -1;
  members = new Set(item.members);
  $("name").textContent = item.id.split("/").at(-1) || item.id;
  $("name").title = item.id;
  $("why").textContent = why();
  showText();
  showPictures();
  $("search").value = "";
  showChoices();
  showLegend();
  $("text").scrollTop = 0;
  $("text").focus({ preventScroll: true });
  document.body.dataset.number = String(item.number);
}

function why() {
  const said = (item.reasons || []).map((reason) => REASONS[reason] || reason.replaceAll("_", " "));
  if (state.several) {
    const open = item.scores.map((score) => Math.abs(score - 0.5));
    const place = open.indexOf(Math.min(...open));
    if (!said.length) said.push(`closest call: “${item.labels[place]}”, ${percent(item.scores[place])}`);
  } else if (!said.length && typeof item.margin === "number") said.push(`the best label is ${percent(item.margin)} ahead`);
  if (item.truth) said.unshift(`labelled ${named([item.truth].flat())}`);
  return said.join(" · ");
}

function showText() {
  const box = $("text");
  box.replaceChildren();
  if (item.problem) {
    box.append(element("p", "note bad", item.problem));
    return;
  }
  const strongest = Math.max(0.5, ...item.pages.flatMap((page) => page.pieces.map((piece) => Math.abs(piece.change || 0))));
  for (const page of item.pages) {
    if (item.page_count > 1) box.append(element("div", "page-number", `Page ${page.page + 1}`));
    const shown = element("div", "page");
    shown.dir = "auto";
    for (const piece of page.pieces) {
      const made = element(piece.hidden ? "span" : "bdi", piece.hidden ? "hidden-character" : "", piece.text);
      if (piece.change === undefined || Math.abs(piece.change) < strongest / 20) {
        shown.append(piece.hidden ? made : document.createTextNode(piece.text));
        continue;
      }
      const mark = element("mark", piece.change > 0 ? "for" : "against");
      mark.style.setProperty("--weight", (0.25 + (0.75 * Math.abs(piece.change)) / strongest).toFixed(2));
      mark.title = `${signed(piece.change)} log-odds`;
      mark.dataset.change = String(piece.change);
      mark.append(piece.hidden ? made : document.createTextNode(piece.text));
      shown.append(mark);
    }
    box.append(shown);
  }
  if (item.chars_shown < item.chars) {
    const rest = (item.chars - item.chars_shown).toLocaleString("en");
    box.append(element("p", "note", `${rest} more characters are not shown; all of them are written with your choice.`));
  }
}

function showPictures() {
  for (const address of pictures) URL.revokeObjectURL(address);
  pictures = [];
  $("pictures").replaceChildren();
  $("views").hidden = !item.pictured;
  view(item.pictured && $("as-picture").getAttribute("aria-pressed") === "true");
}

// Pages are drawn when they come into sight.
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    sight.unobserve(entry.target);
    draw(entry.target, item.number);
  }
}, { rootMargin: "400px" });

async function draw(place, number) {
  try {
    const blob = await (await ask(`/api/picture?number=${number}&page=${place.dataset.page}`)).blob();
    if (item === null || item.number !== number) return;
    const picture = element("img");
    picture.alt = `page ${Number(place.dataset.page) + 1}`;
    picture.src = URL.createObjectURL(blob);
    picture.addEventListener("click", () => picture.classList.toggle("large"));
    pictures.push(picture.src);
    place.replaceWith(picture);
  } catch (error) {
    place.textContent = error.message;
  }
}

function view(asPicture) {
  $("as-picture").setAttribute("aria-pressed", String(asPicture));
  $("as-text").setAttribute("aria-pressed", String(!asPicture));
  $("text").hidden = asPicture;
  $("pictures").hidden = !asPicture;
  if (asPicture && !$("pictures").childElementCount) {
    for (const page of item.pages) {
      if (item.page_count > 1) $("pictures").append(element("div", "page-number", `Page ${page.page + 1}`));
      const place = element("div", "blank", "…");
      place.dataset.page = String(page.page);
      $("pictures").append(place);
      sight.observe(place);
    }
  }
}

function showChoices() {
  const query = $("search").value.trim().toLocaleLowerCase();
  const scores = new Map(item.labels.map((label, place) => [label, item.scores[place]]));
  const others = state.labels.filter((label) => !scores.has(label));
  const all = [...item.labels, ...others];
  offered = query ? all.filter((label) => label.toLocaleLowerCase().includes(query)) : all;
  const more = offered.length;
  offered = offered.slice(0, query ? FOUND : KEYS);
  // What a document is given stays in sight, if without a key.
  const shown = query ? offered : [...offered, ...all.slice(KEYS).filter((label) => members.has(label))];
  $("search-row").hidden = all.length <= KEYS;
  $("search").placeholder = `Search all ${all.length} labels`;
  const box = $("choices");
  const focused = document.activeElement?.closest?.(".choice")?.dataset.label;
  box.replaceChildren();
  shown.forEach((label, place) => {
    const choice = element("button", "choice");
    choice.type = "button";
    choice.dataset.label = label;
    if (state.several) choice.setAttribute("aria-pressed", String(members.has(label)));
    else if (label === item.labels[0]) choice.classList.add("best");
    const key = query ? (place ? "" : "↵") : place < KEYS ? String(place + 1) : "";
    choice.append(key ? element("kbd", "", key) : element("span"));
    const name = element("bdi", "label", label);
    const score = scores.get(label);
    const told = element("span", "score", score === undefined ? "" : percent(score));
    if (members.has(label)) told.prepend(element("span", "in", "✓"));
    choice.append(name, told);
    if (score !== undefined) choice.append(bar(score));
    choice.addEventListener("click", () => (state.several ? toggle(label) : choose(label)));
    box.append(choice);
    if (label === focused) choice.focus({ preventScroll: true });
  });
  $("save-text").textContent = members.size ? `Save ${members.size} ${members.size === 1 ? "label" : "labels"}` : "Save: none";
  if (!more) box.append(element("p", "note", "No label has these letters."));
}

function bar(score) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("class", "bar");
  drawing.setAttribute("viewBox", "0 0 100 1");
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  const filled = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  filled.setAttribute("height", "1");
  filled.setAttribute("width", String(100 * Math.max(0, Math.min(1, score))));
  drawing.append(filled);
  return drawing;
}

function showLegend() {
  const marks = [...document.querySelectorAll("mark")].filter((mark, place, all) => place === 0 || all[place - 1].dataset.change !== mark.dataset.change);
  marks.sort((a, b) => Math.abs(b.dataset.change) - Math.abs(a.dataset.change));
  $("legend").hidden = !marks.length;
  $("evidence").replaceChildren();
  marks.slice(0, 6).forEach((mark) => {
    const jump = element("button", "", signed(Number(mark.dataset.change)));
    jump.type = "button";
    jump.title = "show this passage";
    jump.addEventListener("click", () => point(mark));
    $("evidence").append(jump);
  });
  if (marks.length) $("evidence").append(element("kbd", "", "E"));
}

function point(mark) {
  view(false);
  for (const other of document.querySelectorAll("mark.here")) other.classList.remove("here");
  mark.classList.add("here");
  mark.scrollIntoView({ block: "center" });
}

const named = (labels) => (labels.length ? labels.map((label) => `“${label}”`).join(", ") : "with none of the labels");
const percent = (share) => `${(100 * share).toFixed(share >= 0.0005 && share < 0.0995 ? 1 : 0)} %`;
const signed = (change) => `${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(1)}`;

// ------------------------------------------------------------------ what is done

async function act(work, message) {
  if (busy) return;
  busy = true;
  try {
    state = { ...state, ...(await (await work()).json()) };
    saved(message, false);
    await show();
  } catch (error) {
    saved(error instanceof TypeError ? "The command has ended; start it again and open its new address." : error.message, true);
    await catchUp().catch(() => {});
  } finally {
    busy = false;
  }
}

// Another tab may have gone on with the same review.
async function catchUp() {
  state = { ...state, ...(await (await ask("/api/state")).json()) };
  if (item === null || state.next !== item.number) await show();
}

const choose = (label) => act(() => ask("/api/choose", { number: item.number, label }), `Saved: ${label}`);
function save() {
  const label = [...item.labels, ...state.labels.filter((one) => !item.labels.includes(one))].filter((one) => members.has(one));
  act(() => ask("/api/choose", { number: item.number, label }), `Saved: ${label.length ? label.join(", ") : "none of the labels"}`);
}
function toggle(label) {
  if (!members.delete(label)) members.add(label);
  showChoices();
}
const skip = () => act(() => ask("/api/skip", { number: item.number }), "Skipped; it comes again at the end.");
const undo = () => act(() => ask("/api/undo", {}), "Taken back.");

$("save").addEventListener("click", save);
$("skip").addEventListener("click", skip);
$("undo").addEventListener("click", undo);
$("end-undo").addEventListener("click", undo);
$("as-text").addEventListener("click", () => view(false));
$("as-picture").addEventListener("click", () => view(true));
$("search").addEventListener("input", showChoices);
$("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && $("search").value.trim() && offered.length) {
    event.preventDefault();
    if (!state.several) choose(offered[0]);
    else {
      $("search").value = "";
      toggle(offered[0]);
      $("text").focus({ preventScroll: true });
    }
  } else if (event.key === "Escape") {
    $("search").value = "";
    showChoices();
    $("text").focus();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target === $("search")) return;
  const key = event.key.toLowerCase();
  if (key === "u" && state && state.undoable) undo();
  if (item === null) return;
  if (/^[1-9]$/.test(key) && !$("search").value.trim() && Number(key) <= offered.length) {
    (state.several ? toggle : choose)(offered[Number(key) - 1]);
  } else if (state.several && key === "0") {
    members.clear();
    showChoices();
  } else if (state.several && key === "enter" && (!event.target.closest("button") || event.target.closest(".choice, #save"))) {
    event.preventDefault();
    save();
  }
  else if (key === "s") skip();
  else if (key === "p" && item.pictured) view($("pictures").hidden);
  else if (key === "e") {
    const jumps = $("evidence").querySelectorAll("button");
    if (jumps.length) jumps[(evidencePlace = (evidencePlace + 1) % jumps.length)].click();
  } else if (key === "/" && !$("search-row").hidden) {
    event.preventDefault();
    $("search").focus();
  }
});

(async () => {
  try {
    state = await (await ask("/api/state")).json();
    $("task").textContent = state.task;
    $("save").hidden = !state.several;
    if (state.several) $("choices").setAttribute("aria-label", "labels of the document");
    document.title = `Review ${state.task}`;
    if (state.failed) saved(`Refused, not shown: ${state.failed}`, false);
    await show();
  } catch (error) {
    trouble(error instanceof TypeError ? "The command that serves it has ended." : error.message);
  }
})();
