// SPDX-License-Identifier: MIT
// The style sheet of all pages.
#pragma once

#include <string_view>

namespace fermata::mirror {

inline constexpr std::string_view page_style = R"css(
:root{color-scheme:light dark;--bg:#f6f5f1;--card:#fff;--ink:#1d1d24;--soft:#63636f;--line:#e3e1d9;
--track:#e9e7df;--code:#f3f1ea;--good:#15803d;--good-bg:#dcf5e3;--busy:#1d4ed8;--busy-bg:#e0e9fd;
--warn:#b45309;--warn-bg:#fdf0d7;--bad:#b91c1c;--idle:#57576a;--idle-bg:#e8e8ee}
@media(prefers-color-scheme:dark){:root{--bg:#131318;--card:#1c1c23;--ink:#ececf2;--soft:#a0a0b0;
--line:#2d2d38;--track:#2c2c37;--code:#15151b;--good:#4ade80;--good-bg:#12321f;--busy:#7fb0ff;
--busy-bg:#182a4d;--warn:#fbbf24;--warn-bg:#3a2a0c;--bad:#f87171;--idle:#b4b4c4;--idle-bg:#2b2b36}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Cantarell,sans-serif}
main{max-width:52rem;margin:0 auto;padding:1.75rem 1.25rem 2.5rem}
header{display:flex;align-items:center;gap:.75rem;margin-bottom:1.25rem}
header svg{width:2.5rem;height:1.65rem;flex:none}
h1{font-size:1.25rem;line-height:1.2;margin:0;flex:1;font-weight:650;letter-spacing:-.01em}
h1 a{color:inherit;text-decoration:none}
h2{font-size:.8rem;font-weight:600;color:var(--soft);margin:0 0 .6rem}
.badge{border-radius:99px;padding:.28rem .9rem .28rem .75rem;font-size:.9rem;font-weight:600;
white-space:nowrap;display:inline-flex;align-items:center;gap:.5rem}
.badge i{width:.55rem;height:.55rem;border-radius:50%;background:currentColor;flex:none}
.good{color:var(--good);background:var(--good-bg)}.busy{color:var(--busy);background:var(--busy-bg)}
.idle{color:var(--idle);background:var(--idle-bg)}.warn{color:var(--warn);background:var(--warn-bg)}
.busy i{animation:breathe 1.4s ease-in-out infinite}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:1.1rem 1.25rem}
.stack{display:grid;gap:.9rem}
.lead{font-size:1.3rem;line-height:1.35;margin:0 0 .9rem;font-weight:600;letter-spacing:-.012em}
.grid{display:grid;gap:.9rem;grid-template-columns:repeat(2,minmax(0,1fr))}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.3rem 1.1rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
code,pre{font-family:ui-monospace,"Cascadia Mono","DejaVu Sans Mono",Menlo,Consolas,monospace;
font-size:.875em}
pre{background:var(--code);border:1px solid var(--line);border-radius:9px;padding:.7rem .9rem;
margin:0;overflow-x:auto;line-height:1.75}
.how{display:grid;gap:.25rem}.how p{margin:.55rem 0 .1rem;color:var(--soft);font-size:.9rem}
.how p:first-child{margin-top:0}
.bar{height:.8rem;border-radius:99px;background:var(--track);overflow:hidden;margin:.3rem 0 .55rem}
.bar b{display:block;height:100%;border-radius:99px;background:var(--busy);min-width:.8rem}
.bar .unknown{width:30%;animation:roam 1.6s ease-in-out infinite alternate}
.facts{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;color:var(--soft);font-size:.92rem;
font-variant-numeric:tabular-nums}.facts strong{color:var(--ink);font-weight:600}
.trouble{border-color:var(--warn);background:var(--warn-bg)}
.trouble h2{color:var(--warn);font-size:.95rem;margin-bottom:.35rem}
.trouble p{margin:0;overflow-wrap:anywhere}.trouble .facts{margin-top:.4rem}
.trouble .facts,.trouble .facts strong{color:var(--ink)}
.gauge{display:block;width:100%;max-width:19rem;margin:auto}
.gauge text{fill:var(--soft);font-size:10.5px;text-anchor:middle}
.gauge .value{fill:var(--ink);font-size:27px;font-weight:650}
.gap{display:flex;flex-direction:column}.gap .facts{justify-content:center;margin-top:auto;
padding-top:.8rem}
.site{text-align:center;color:var(--soft);font-size:.88rem;margin:.35rem 0 0;overflow-wrap:anywhere}
details{margin-top:.7rem;font-size:.9rem;color:var(--soft)}summary{cursor:pointer}
details ul{margin:.4rem 0 0;padding-left:1.1rem;overflow-wrap:anywhere}
.plots{display:grid;gap:1rem 1.4rem;grid-template-columns:repeat(3,minmax(0,1fr))}
.plots .site{grid-column:1/-1}
figure{margin:0}figcaption{font-size:.88rem;margin-bottom:.3rem}
figcaption span{color:var(--soft);display:block}
figcaption strong{color:var(--ink);font-weight:600}
figure p{display:flex;justify-content:space-between;color:var(--soft);font-size:.75rem;
margin:.15rem 0 0}
.plot{display:block;width:100%;height:5.2rem;border-bottom:1px solid var(--line)}
.plot .line{fill:none;stroke:currentColor;stroke-width:1.6;vector-effect:non-scaling-stroke;
stroke-linejoin:round}.plot .area{fill:currentColor;opacity:.13;stroke:none}
.plot .good,.plot .busy,.plot .warn,.plot .idle{background:none}
.plot .bound{stroke:var(--soft);stroke-dasharray:4 4;fill:none;vector-effect:non-scaling-stroke}
.choice{margin-left:.3rem}.choice a,.choice b{margin-right:.5rem}.choice a{color:var(--busy)}
.choice b{color:var(--ink)}
.actions{display:flex;flex-wrap:wrap;gap:.6rem}.actions form{display:flex;flex-wrap:wrap;
gap:.5rem;margin:0}
input{min-width:0;max-width:100%}
button,input{font:inherit;font-size:.92rem;border-radius:9px;border:1px solid var(--line);
padding:.4rem .9rem;background:var(--card);color:var(--ink)}
button{cursor:pointer;font-weight:600}button:hover{border-color:var(--busy);color:var(--busy)}
.list{list-style:none;margin:.4rem 0;padding:0}.list li{margin:.3rem 0;overflow-wrap:anywhere}
.list strong{color:var(--ink)}.list time{white-space:nowrap}
.list span{display:block;color:var(--soft);font-size:.85rem}.apart{margin-top:.8rem}
details form,.find{display:flex;flex-wrap:wrap;gap:.5rem;margin:.6rem 0}.find{margin:.9rem 0 0}
.find input{flex:1;min-width:0}
footer{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;color:var(--soft);font-size:.88rem;
margin-top:1.3rem;padding:0 .2rem}
footer a,.links a{color:inherit}footer span{margin-left:auto}
.links{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.35rem 1.1rem;margin:0}
.links a{color:var(--busy);text-decoration:none}.links a:hover{text-decoration:underline}
@keyframes breathe{50%{opacity:.25}}@keyframes roam{to{margin-left:70%}}
@media(prefers-reduced-motion:reduce){*{animation:none!important}}
@media(max-width:40rem){main{padding:1.1rem .8rem 2rem}.grid,
.plots{grid-template-columns:minmax(0,1fr)}.card{padding:1rem}.lead{font-size:1.15rem}
footer span{margin-left:0;width:100%}
pre{font-size:.8rem;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.6}}
)css";

}  // namespace fermata::mirror
