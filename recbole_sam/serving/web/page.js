// The page of `recbole_sam serve`. Everything that comes from data enters the page as text, never as HTML.
"use strict";

const SHOWN = 10;
let lookedAt = 200;           // places in which an item is looked for that moved
const PARTS = {id: "the item itself", title: "its title", repeat_bias: "already taken", steer: "what you asked for",
               neighbours: "taken together with", model: "the model"};
const $ = id => document.getElementById(id);

const bundles = {};           // name -> facts, of /health
let user = null;              // the known user, until the history is changed
let items = [];               // the history: [{item, title}], oldest first
let interests = [];           // of the first bundle: [{number, phrase, items}]
let off = new Set();          // numbers of interests that are switched off
let typed = [];               // phrases that were asked for
let choices = [], chosen = -1; // of the search box
let turn = 0;                 // answers to older questions are forgotten

// ---- the server

async function call(path, body) {
  const headers = {"Content-Type": "application/json"};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, body ? {method: "POST", headers, body: JSON.stringify(body)} : {headers});
  if (answer.status === 401) { $("ask").open || $("ask").showModal(); }
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

async function guarded(work) {
  try {
    $("status").textContent = "";
    return await work();
  } catch (error) {
    $("status").textContent = error.message;
  }
}

// ---- making elements

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null)); // strings become text
  return element;
}

const named = each => each.title || each.item;
const colour = number => number === null ? "" : `c${(number - 1) % 6 + 1}`;

function later(work, wait) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(work, wait); };
}

// ---- finding users and items

async function find() {
  const typedNow = $("find").value, query = encodeURIComponent(typedNow.trim());
  if (!query) return show([]);
  const of = `q=${query}&bundle=${encodeURIComponent($("bundle").value)}`;
  const [people, things] = await Promise.all([call(`users?${of}&limit=5`), call(`items?${of}&limit=15`)]);
  if ($("find").value !== typedNow) return;
  show([...people.users.map(name => ({kind: "user", title: name})),
        ...things.items.map(each => ({kind: "item", ...each}))], true);
}

function show(found, searched = false) {
  [choices, chosen] = [found, found.length ? 0 : -1];
  $("found").replaceChildren(...found.map((each, place) => make("li", {
    role: "option", id: `choice${place}`, onmousedown: event => { event.preventDefault(); choose(place); },
  }, make("span", {class: "kind"}, each.kind), named(each))));
  $("found").hidden = !found.length;
  $("find").setAttribute("aria-expanded", String(found.length > 0));
  if (searched) $("status").textContent = found.length ? "" : "Nothing is called so.";
  mark(chosen);
}

function mark(place) {
  chosen = place;
  [...$("found").children].forEach((row, at) => row.setAttribute("aria-selected", String(at === place)));
  $("found").children[place]?.scrollIntoView({block: "nearest"});
  $("find").setAttribute("aria-activedescendant", place < 0 ? "" : `choice${place}`);
}

function choose(place) {
  const each = choices[place];
  if (!each) return;
  $("find").value = "";
  show([]);
  if (each.kind === "user") open(each.title);
  else changed([...items, {item: each.item, title: each.title}]);
}

function keys(event) {
  const steps = {ArrowDown: 1, ArrowUp: -1};
  if (event.key in steps && choices.length) {
    event.preventDefault();
    mark((chosen + steps[event.key] + choices.length) % choices.length);
  } else if (event.key === "Enter") { event.preventDefault(); choose(chosen); }
  else if (event.key === "Escape") { show([]); }
}

// ---- the person

const open = name => guarded(async () => {
  const found = await call(`users/${encodeURIComponent(name)}?bundle=${encodeURIComponent($("bundle").value)}`);
  [user, items, off, typed] = [found.user, found.items, new Set(), []];
  await ask();
});

function changed(now) {
  [user, items, off] = [null, now, new Set()];
  return ask();
}

function move(place, step) {
  const now = [...items], [one] = now.splice(place, 1);
  now.splice(place + step, 0, one);
  changed(now);
  const row = $("session").children[place + step];
  (row.querySelector(step < 0 ? ".up:enabled" : ".down:enabled") || row.querySelector(".away")).focus();
}

function drawPerson() {
  $("who").textContent = user ? `User ${user}` : items.length ? "This session" : "Nobody yet";
  $("clear").hidden = !items.length;
  $("try").hidden = items.length > 0;
  const of = new Map();
  interests.forEach(each => each.items.forEach(one => of.has(one.item) || of.set(one.item, each.number)));
  $("session").replaceChildren(...items.map((each, place) => make("li", {
    draggable: "true",
    ondragstart: event => { event.dataTransfer.setData("text/plain", place); event.target.classList.add("dragged"); },
    ondragend: event => event.target.classList.remove("dragged"),
    ondragover: event => event.preventDefault(),
    ondrop: event => {
      event.preventDefault();
      const from = Number(event.dataTransfer.getData("text/plain"));
      if (Number.isInteger(from) && items[from] && from !== place) move(from, place - from);
    },
  },
  make("span", {class: `dot ${colour(of.get(each.item) ?? null)}`}),
  make("span", {class: "title", title: named(each)}, named(each)),
  make("span", {class: "tools"},
    tool("up", "↑", "earlier", each, place === 0, () => move(place, -1)),
    tool("down", "↓", "later", each, place === items.length - 1, () => move(place, 1)),
    tool("away", "✕", "away", each, false, () => changed(items.filter((_, at) => at !== place)))))));
}

function tool(name, sign, where, each, disabled, onclick) {
  const label = `${named(each)}: ${where}`;
  return make("button", {type: "button", class: name, "aria-label": label, disabled: disabled ? "" : null, onclick}, sign);
}

function drawInterests() {
  const facts = bundles[$("bundle").value];
  $("wishes").hidden = !items.length || !(interests.length || facts.steers);
  $("steer").hidden = !facts.steers;
  $("how-much").hidden = !typed.length;
  const chips = interests.map(each => make("li", {class: colour(each.number)},
    make("button", {
      type: "button", class: "chip", "aria-pressed": String(!off.has(each.number)),
      onclick: event => { off.delete(each.number) || off.add(each.number); refresh(event.currentTarget); },
    }, make("span", {class: "title", title: each.phrase}, each.phrase || `interest ${each.number}`)),
    ...each.items.slice(0, 3).map(one => make("small", {title: named(one)}, named(one))),
    each.items.length > 3 ? make("small", {}, `and ${each.items.length - 3} more`) : null));
  const wishes = typed.map(phrase => make("li", {},
    make("button", {
      type: "button", class: "chip typed", title: "Take away", "aria-label": `${phrase}: take away`,
      onclick: () => { typed = typed.filter(one => one !== phrase); refresh($("phrase")); },
    }, `${phrase} ✕`)));
  $("interests").replaceChildren(...chips, ...wishes);
}

function refresh(focused) {
  const label = focused?.textContent;
  drawInterests();
  const again = [...$("interests").querySelectorAll("button")].find(button => button.textContent === label);
  (again || $("phrase")).focus();
  drawLists();
}

// ---- recommendations

const person = () => user ? {user} : {items: items.map(each => each.item)};

function wishes(bundle) {
  const asked = {bundle, ...person()};
  if (typed.length && bundles[bundle].steers) Object.assign(asked, {steer: typed, strength: Number($("strength").value)});
  if (off.size && bundle === $("bundle").value) asked.without_interests = [...off];
  return asked;
}

async function ask() {
  interests = [];
  drawPerson();
  drawInterests();
  const lists = drawLists(), mine = turn, bundle = $("bundle").value;
  if (items.length && bundles[bundle].interests) await guarded(async () => {
    const found = await call("interests", {bundle, ...person()});
    if (mine !== turn) return;
    interests = found.interests;
    const at = document.activeElement, where = [...$("session").querySelectorAll("button")].indexOf(at);
    drawPerson();
    drawInterests();
    if (where >= 0) $("session").querySelectorAll("button")[where]?.focus();
  });
  await lists;
}

async function drawLists() {
  const mine = ++turn;
  const names = [$("bundle").value, $("other").value].filter((name, place, all) => name && all.indexOf(name) === place);
  if (!items.length) return $("lists").replaceChildren();
  const drawn = await Promise.all(names.map(name => list(name, names.length > 1)));
  if (mine === turn) $("lists").replaceChildren(...drawn);
}

async function list(bundle, isOneOfTwo) {
  const box = make("div", {class: "list"}, make("div", {class: "heading"},
    make("h2", {}, isOneOfTwo ? `${bundle} (${bundles[bundle].model})` : "Recommended next")));
  try {
    const asked = wishes(bundle), steered = "steer" in asked || "without_interests" in asked;
    const plain = {bundle, ...person(), k: lookedAt};
    const [now, before] = await Promise.all([call("recommend", {...asked, k: Math.min(SHOWN, lookedAt)}), steered ? call("recommend", plain) : null]);
    const old = before && new Map(before.items.map(each => [each.item, each.rank]));
    box.append(make("ol", {}, ...now.items.map(each => place(bundle, each, old))));
    if (old) {
      const kept = new Set(now.items.map(each => each.item));
      const gone = before.items.slice(0, SHOWN).filter(each => !kept.has(each.item));
      if (gone.length) box.append(make("p", {class: "gone"}, make("span", {class: "fell"}, "▼ No longer here: "),
                                       gone.map(named).join(" · ")));
      else if (now.items.every(each => old.get(each.item) === each.rank)) box.append(make("p", {class: "gone"}, "Nothing here moved."));
    }
  } catch (error) {
    box.append(make("p", {class: "error"}, error.message));
  }
  return box;
}

function place(bundle, each, old) {
  const button = make("button", {type: "button", class: "pick", "aria-expanded": "false", title: `score ${each.score.toFixed(3)}`},
    make("span", {class: "rank"}, String(each.rank)), make("span", {class: "title"}, named(each)), movement(each, old));
  const row = make("li", {}, button);
  button.addEventListener("click", () => guarded(async () => {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) return row.lastChild.remove();
    row.append(make("div", {class: "why"}, "…"));
    try {
      const why = reasons(await call("explain", {...wishes(bundle), item: each.item}));
      if (button.getAttribute("aria-expanded") === "true") row.lastChild.replaceWith(why);
    } catch (error) {
      row.lastChild.replaceChildren(error.message);
    }
  }));
  return row;
}

function movement(each, old) {
  if (!old) return null;
  const rank = old.get(each.item), up = rank === undefined ? 1 : rank - each.rank;
  if (up === 0) return make("span", {class: "moved"}, "");
  const far = rank === undefined ? `from beyond ${old.size}` : `from ${rank}`;
  return make("span", {class: `moved ${up > 0 ? "rose" : "fell"}`}, `${up > 0 ? "▲" : "▼"} ${far}`);
}

// ---- why

function reasons(why) {
  const parts = Object.entries(why.parts).filter(([, value]) => value).map(([name, value]) => [PARTS[name] || name, value]);
  const carriers = why.history.slice(0, 5).map(each => [named(each), each.change]);
  const phrases = why.interests.map(each => [each.phrase || `interest ${each.number}`, each.change]);
  const box = make("div", {class: "why"},
    make("h3", {}, `Score ${why.score.toFixed(2)} is the sum of`), ...bars(parts),
    carriers.length ? make("h3", {}, "What it loses without this item of the history") : null, ...bars(carriers),
    phrases.length ? make("h3", {}, "What it loses without this interest") : null, ...bars(phrases));
  if (why.rank_without_interests) {
    const others = why.rank_with_other_interests;
    box.append(make("p", {class: "gone"}, `Rank ${why.rank}. Without any interests: ${why.rank_without_interests}`
      + (others ? `, with other users' interests: ${others}.` : ".")));
  }
  return box;
}

function bars(rows) {
  const most = Math.max(...rows.map(([, value]) => Math.abs(value)), 1e-9);
  return rows.map(([name, value]) => {
    const fill = make("span", {class: value < 0 ? "fill minus" : "fill"});
    fill.style.width = `${50 * Math.abs(value) / most}%`;
    const sign = value < 0 ? "−" : "+";
    return make("div", {class: "bar"}, make("span", {title: name}, name), make("span", {class: "track"}, fill),
                make("span", {class: "number"}, sign + Math.abs(value).toFixed(2)));
  });
}

// ---- the beginning

async function begin() {
  const health = await call("health");
  Object.assign(bundles, health.bundles);
  lookedAt = Math.min(lookedAt, health.most);
  const names = Object.keys(bundles);
  $("bundle").replaceChildren(...names.map(name => make("option", {value: name}, name)));
  $("other").replaceChildren(make("option", {value: ""}, "none"), ...names.map(name => make("option", {value: name}, name)));
  $("beside").hidden = names.length < 2;
  await chosenBundle();
  const asked = new URLSearchParams(location.hash.slice(1)).get("user");
  if (asked) await open(asked);
}

async function chosenBundle() {
  const name = $("bundle").value, facts = bundles[name], count = new Intl.NumberFormat("en").format;
  $("facts").textContent = [`${facts.model} on ${facts.dataset}`, `${count(facts.items)} items`,
    facts.users ? `${count(facts.users)} users` : "no users"].join(" · ");
  const some = await call(`users?limit=5&bundle=${encodeURIComponent(name)}`);
  $("try").replaceChildren(some.users.length ? "Start with a user, or type what you have bought: " : "Type what you have bought.",
    ...some.users.map(each => make("button", {type: "button", onclick: () => open(each)}, each)));
  off = new Set();
  await ask();
}

$("find").addEventListener("input", later(() => guarded(find), 150));
$("find").addEventListener("keydown", keys);
$("find").addEventListener("blur", () => show([]));
$("clear").addEventListener("click", () => { typed = []; changed([]); $("find").focus(); });
$("bundle").addEventListener("change", () => guarded(chosenBundle));
$("other").addEventListener("change", () => guarded(drawLists));
$("strength").addEventListener("input", later(drawLists, 150));
$("steer").addEventListener("submit", event => {
  event.preventDefault();
  const phrase = $("phrase").value.trim();
  $("phrase").value = "";
  if (!phrase || typed.includes(phrase) || typed.length >= 5) return;
  typed.push(phrase);
  refresh($("phrase"));
});
$("login").addEventListener("submit", event => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value);
  $("token").value = "";
  $("ask").close();
  guarded(begin);
});
guarded(begin);
