"""The one style sheet of pages and notebooks: light and dark, screen and paper. Knows classes, no content."""

from soar.report.html.markup import Html

# Every rule is scoped to .soar because a notebook has its own styles.
SHEET = Html("""
.soar{--ink:#1c1e21;--soft:#5f6670;--line:#d9dce1;--back:#ffffff;--card:#f6f7f9;--good:#1a7f4b;--half:#9a6b00;
--bad:#b3372f;--none:#8b929c;--a:#2459a6;--b:#b3541e;--c:#1a7f4b;--d:#7a3fa0;--e:#8a6d00;--f:#a02f5f;
color:var(--ink);background:var(--back);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
color-scheme:light dark;text-align:left}
@media (prefers-color-scheme:dark){.soar{--ink:#e4e6ea;--soft:#9aa2ad;--line:#363b43;--back:#15181c;--card:#1d2126;
--good:#5bc48c;--half:#d9a941;--bad:#ef7f76;--none:#737b86;--a:#7fb0f5;--b:#eb9a66;--c:#5bc48c;--d:#c39be6;--e:#d9b64a;
--f:#ea8fb4}}
body.soar{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:74rem}
.soar h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem;overflow-wrap:anywhere}
.soar h2{font-size:1.15rem;margin:2.5rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
.soar h3{font-size:1rem;margin:1.25rem 0 .4rem;overflow-wrap:anywhere}
.soar p{margin:.35rem 0;max-width:62rem}
.soar .soft{color:var(--soft)}
.soar .good{color:var(--good)}.soar .half{color:var(--half)}.soar .bad{color:var(--bad)}.soar .none{color:var(--none)}
.soar .scroll{overflow-x:auto}
.soar table{border-collapse:collapse;font-size:.9rem;margin:.5rem 0;background:none}
.soar th,.soar td{padding:.25rem .75rem .25rem 0;text-align:right;border-bottom:1px solid var(--line);
font-variant-numeric:tabular-nums;vertical-align:baseline;background:none;max-width:36rem;overflow-wrap:break-word}
.soar thead th{color:var(--soft);font-weight:500}
.soar th:first-child,.soar .left td,.soar .left th{text-align:left}
.soar tbody th{font-weight:500}
.soar pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.75rem .9rem;margin:.5rem 0;
overflow-x:auto;font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;color:var(--ink)}
.soar .kw{color:var(--d)}.soar .st{color:var(--c)}.soar .co{color:var(--soft);font-style:italic}
.soar .nu{color:var(--b)}
.soar code{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;background:none;
color:inherit;overflow-wrap:anywhere}
.soar svg{display:inline-block;max-width:100%;height:auto;vertical-align:top}
.soar .values{display:flex;flex-wrap:wrap;gap:.9rem 1.25rem;margin:.6rem 0;align-items:flex-start}
.soar .values>div{display:flex;gap:.6rem;padding:.5rem .6rem;border:1px solid var(--line);border-radius:6px;
background:var(--card);max-width:100%;overflow-x:auto}
.soar figure{margin:0}
.soar figcaption{font-size:.8rem;color:var(--soft);margin-bottom:.2rem;white-space:nowrap}
.soar .value{font:13px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;max-width:24rem;overflow-wrap:anywhere}
.soar .wall{display:flex;flex-wrap:wrap;gap:.4rem;margin:.6rem 0;padding:0;list-style:none}
.soar .wall li{width:5.4rem;height:5.5rem;margin:0;padding:.2rem .3rem;border:1px solid var(--line);border-radius:5px;
border-top:4px solid var(--none);background:var(--card);overflow:hidden;font-size:.68rem;line-height:1.25}
.soar .wall li.good{border-top-color:var(--good)}.soar .wall li.half{border-top-color:var(--half)}
.soar .wall li.bad{border-top-color:var(--bad)}
.soar .wall .name{display:block;white-space:nowrap;overflow:hidden;text-overflow:ellipsis;color:var(--ink)}
.soar .wall .small{display:flex;height:4.1rem;align-items:center;justify-content:center;overflow:hidden;
color:var(--soft)}
.soar .wall .small .value{height:100%;max-width:100%}.soar .wall .small svg{width:auto;height:100%}
.soar .wall li.waiting{border-style:dashed}
.soar .key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.85rem;color:var(--soft);padding:0;margin:.3rem 0;
list-style:none}
.soar .charts{display:flex;flex-wrap:wrap;gap:1rem 2rem}
.soar .charts figure{flex:1 1 26rem;max-width:36rem}
.soar .charts figcaption{white-space:normal;color:var(--ink);font-size:.9rem}
.soar .chart{width:100%;font-size:11px}
.soar .chart text{fill:var(--soft)}.soar .chart .axis{stroke:var(--line);fill:none}
.soar .chart path{fill:none;stroke-width:2}.soar .chart path.axis{stroke-width:1}
.soar .chart .refine{stroke-dasharray:5 3}
.soar .s0{stroke:var(--a);color:var(--a)}.soar .s1{stroke:var(--b);color:var(--b)}
.soar .s2{stroke:var(--c);color:var(--c)}
.soar .s3{stroke:var(--d);color:var(--d)}.soar .s4{stroke:var(--e);color:var(--e)}
.soar .s5{stroke:var(--f);color:var(--f)}
.soar .bar{display:inline-block;height:.65rem;background:var(--bad);border-radius:2px;min-width:1px}
.soar .program{margin:1.25rem 0 2rem}
@media print{body.soar{max-width:none;padding:0;font-size:11px}.soar{--ink:#000;--soft:#444;--line:#bbb;--back:#fff;
--card:#fff;--good:#1a7f4b;--half:#9a6b00;--bad:#b3372f;--none:#8b929c;--a:#2459a6;--b:#b3541e;--c:#1a7f4b;--d:#7a3fa0}
.soar *{print-color-adjust:exact;-webkit-print-color-adjust:exact}.soar h2,.soar h3{break-after:avoid}
.soar pre{white-space:pre-wrap;overflow-wrap:anywhere}.soar .wall li,.soar figure,.soar tr,.soar .values>div,
.soar pre{break-inside:avoid}}
""")
"""The whole style sheet; a page puts it in its head, a notebook cell before its content."""
