"""The style and the search of the data dictionary. Nothing here asks another host for anything."""

from __future__ import annotations

STYLE = """\
:root{--ink:#1f2933;--soft:#5b6b7a;--line:#dfe5eb;--paper:#fff;--tint:#f5f7f9;--link:#0b5cad;--own:#e3eefa;
--mark:#eef2f6;--warn:#8a5a00;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ee;--soft:#9aa9b8;--line:#35414d;--paper:#151b21;--tint:#1d252d;
--link:#7db8f5;--own:#1d3a58;--mark:#263039;--warn:#e6b450}}
*{box-sizing:border-box}
body{margin:0;font:15px/1.55 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;
color:var(--ink);background:var(--paper)}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
a:focus-visible,input:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.3rem;z-index:3}
header{position:sticky;top:0;z-index:2;background:var(--tint);border-bottom:1px solid var(--line)}
header>div,main{max-width:76rem;margin:auto;padding:.6rem 1rem}
header>div{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:center}
header .name{font-weight:600;color:var(--ink)}
.find{position:relative;flex:1 1 16rem;min-width:12rem}
.find input{width:100%;font:inherit;padding:.35rem .6rem;color:inherit;background:var(--paper);
border:1px solid var(--line);border-radius:6px}
.hits{position:absolute;left:0;right:0;margin:.2rem 0 0;padding:.2rem;list-style:none;max-height:70vh;overflow:auto;
background:var(--paper);border:1px solid var(--line);border-radius:6px;box-shadow:0 6px 20px #0003}
.hits[hidden]{display:none}.hits a,.hits span{display:block;padding:.25rem .5rem;border-radius:4px;color:inherit}
.hits a.on,.hits a:hover{background:var(--own);text-decoration:none}.hits small{color:var(--soft);margin-left:.5rem}
h1{font-size:1.6rem;margin:1rem 0 .2rem;line-height:1.3}h1 code{font-size:.95rem}
h2{font-size:1.15rem;margin:2rem 0 .5rem;padding-top:.4rem;border-top:1px solid var(--line);scroll-margin-top:4rem}
tr,h3{scroll-margin-top:5rem}h3{margin:1.4rem 0 .3rem;font-size:1rem}tr:target{background:var(--own)}
p.lead{font-size:1.05rem;margin:.4rem 0 1rem;max-width:52rem}.soft{color:var(--soft)}
code{font:.86em ui-monospace,Menlo,Consolas,monospace;background:var(--mark);padding:.05rem .3rem;border-radius:4px;
overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
th,td{padding:.4rem .6rem .4rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600;font-size:.85rem}
.mark{display:inline-block;margin:.1rem .3rem .1rem 0;padding:0 .45rem;font-size:.8rem;border-radius:9px;
background:var(--mark);color:var(--soft);white-space:nowrap}
.mark.strong{background:var(--own);color:var(--link)}.mark.warn{color:var(--warn)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:.5rem 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
nav.jump{display:flex;flex-wrap:wrap;gap:.2rem .9rem;margin:.5rem 0}
.scroll{overflow-x:auto}svg{display:block;max-width:none;height:auto}
@media (min-width:56rem){svg{max-width:100%}}
svg text{font:14px system-ui,"Noto Sans CJK SC",sans-serif;fill:var(--ink)}svg .mid{text-anchor:middle}
svg .strong{font-weight:600}svg a:hover{text-decoration:none}
svg rect,svg circle{fill:var(--tint);stroke:var(--soft)}svg .own{fill:var(--own);stroke:var(--link)}
svg path{fill:none;stroke:var(--soft)}svg path.move{marker-end:url(#tip);stroke-width:1.3}
svg path.tip{fill:var(--soft);stroke:none}svg g:hover path{stroke:var(--link)}
summary{cursor:pointer;color:var(--link);margin:.6rem 0}
@media (max-width:44rem){thead{display:none}tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}
td{display:block;border:0;padding:.1rem 0}td:empty{display:none}
td[data-h]:not(:first-child)::before{content:attr(data-h) " ";
color:var(--soft);font-size:.85rem;margin-right:.3rem}dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}
header{position:static}}
@media print{header{display:none}}
"""

SEARCH = """\
"use strict";
// Entries are [where, name, label, words]: a page, a machine name, a label, and further text such as pinyin initials.
(function () {
  const box = document.getElementById("find"), list = document.getElementById("hits");
  const fold = (text) => text.normalize("NFKC").toLowerCase().replace(/[_\\s]+/g, " ").trim();
  const known = ENTRIES.map((each) => ({ each, name: fold(each[1]), label: fold(each[2]), rest: fold(each[3]) }));
  let at = -1;
  function rank(entry, asked) {
    if (entry.name === asked || entry.label === asked) return 0;
    if (entry.name.startsWith(asked) || entry.label.startsWith(asked)) return 1;
    if (entry.rest.split(" ").some((word) => word.startsWith(asked))) return 2;
    if (entry.name.includes(asked) || entry.label.includes(asked)) return 3;
    return -1;
  }
  function choose(next) {
    const links = list.querySelectorAll("a");
    if (!links.length) return;
    at = (next + links.length) % links.length;
    links.forEach((link, i) => link.classList.toggle("on", i === at));
    links[at].scrollIntoView({ block: "nearest" });
  }
  function show() {
    const asked = fold(box.value);
    list.replaceChildren();
    at = -1;
    list.hidden = !asked;
    if (!asked) return;
    const found = known.map((entry) => [rank(entry, asked), entry.each]).filter((pair) => pair[0] >= 0);
    // Entities come before fields, and fields before codes, among equals: that is their order in the list.
    found.sort((one, two) => one[0] - two[0]);
    for (const [, [where, name, label]] of found.slice(0, 30)) {
      const item = document.createElement("li"), link = document.createElement("a");
      const code = document.createElement("small");
      link.href = where;
      link.textContent = label || name;
      code.textContent = name;
      link.append(code);
      item.append(link);
      list.append(item);
    }
    if (!found.length) {
      const none = document.createElement("span");
      none.textContent = list.dataset.none;
      list.append(none);
    }
  }
  // A drawing wider than a phone is shown from its middle: what it is about stands there.
  for (const each of document.querySelectorAll(".scroll")) each.scrollLeft = (each.scrollWidth - each.clientWidth) / 2;
  box.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(at + 1);
    else if (event.key === "ArrowUp") choose(at - 1);
    else if (event.key === "Escape") { box.value = ""; show(); }
    else if (event.key === "Enter") (list.querySelectorAll("a")[Math.max(at, 0)] || box).click();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".find")) list.hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== box) { box.focus(); event.preventDefault(); }
  });
  if (box.value) show();
})();
"""
