"""Texts for readers: press releases and scientific abstracts."""

from __future__ import annotations

from .blocks import line, maybe, tell
from .plan import Plan

PRESS = Plan(
    "[press|media|news] release[||: {seller} {announces}]|for immediate release|press statement|{seller} {announces}",
    (),
    (
        maybe(
            0.6,
            line(
                "For immediate release",
                "FOR IMMEDIATE RELEASE",
                "Embargoed until {later}",
                "For release {date}",
                "Press contact: {they}, {phone}",
            ),
        ),
        tell(
            (
                """
        {town}, {date} - {seller}, a [leading|fast-growing|family-owned|privately held] \
          [company|provider|specialist] in {industry}, [today announced|has announced|announces|announced today] \
          [that it {announces}|{launch}].
        [{town} - |]{seller} [today |]{announces}[, the company announced on {date}|].
        {seller} is [pleased|proud|delighted|excited] to announce {launch}.
        """,
                """
        "[We are thrilled|This is a milestone for us|We are proud of this step|Our customers have waited for this]," \
          [said|says] {they}, [CEO|chief executive|managing director|founder] of {seller}. ["It will change \
          {industry}."|"{progressq}."|]
        "[With this step|Together with {third}], we [strengthen our position in {industry}|bring {product} to \
          {country}|create {nnn} new jobs]," said {they}.
        """,
                """
        The [new |]{product} [will be available|goes on sale|ships] [from {later}|in {month}|in {n} countries] [at a \
          price of {money}|].
        [The agreement|The transaction|The investment] is [worth|valued at] {big} and [is expected to close in \
          {month}|subject to approval].
        [The event|The new site|The programme] [takes place|opens] [in {city}|at {venue}] on {later}.
        """,
                """
        About {seller}: [Founded|Established] in {someyear}, {seller} [employs {nnn} people|serves customers in {n} \
          countries|is based in {town}][ and is active in {industry}|].
        {seller} is one of the [leading|largest] [provider|supplier|manufacturer]s [in|of] {industry}[ with {nnn} \
          employees|].
        """,
                """
        [Media contact|Press contact|Contact for journalists|For more information]: {person}, {phone}, {mail}
        ### [Notes to editors: photos are available at {web}.|]
        """,
            ),
            "\n",
        ),
    ),
    ordered=True,
)

ABSTRACT = Plan(
    "abstract|{papertitle}|{papertitle}|{papertitle}\nabstract|{papertitle}\n{person}, {person} and {person}, "
    "{university}",
    (),
    (
        tell(
            (
                """
        [Background: |Introduction: |]{sciobject} [plays a key role in|is central to|is poorly understood in|has \
          attracted attention in] {field}[, yet its effect on {sciobject} remains unclear|].
        [We study|We investigate|This paper examines|This study investigates|In this work we analyse] [the \
          [effect|influence|role] of {sciobject} on {sciobject}|{sciobject} in {field}].
        [The aim of this study was|Objective:] to [assess|determine|compare|quantify] {sciobject} [using|by means \
          of] {method}.
        [Recent advances in|Despite decades of work on] {field} [raise|have raised] [the question|new questions] \
          [of|about] {sciobject}.
        """,
                """
        [Methods: |]We [used|applied|combined|developed] {method} [and {method} |][to measure|to estimate|on data \
          from] [{nnnn} [samples|patients|participants|sites]|{sciobject}].
        [We propose|We present|We introduce] [a new|a simple|an improved|a Bayesian] \
          [model|method|algorithm|framework] [for|of] {sciobject}[, based on {method}|].
        [A total of |]{nnn} [subjects|samples|specimens|households|galaxies] were [examined|surveyed|analysed] with \
          {method}.
        """,
                """
        [Results: |]{finding}.
        [Our results|The results|Experiments|Simulations] [show|indicate|suggest|demonstrate] that {finding}.
        We found that {finding} (p < 0.0{digit}[, n = {nnn}|]).
        """,
                """
        [Moreover|In addition|Surprisingly|By contrast], {finding}.
        [Compared with|Relative to] {method}, our [approach|method] [reduces the error|improves accuracy] by {pct}.
        """,
                """
        [Conclusions: |]These [findings|results] [imply|support the view|suggest] that {sciobject} [should be \
          considered in|is relevant for|may explain] {field}.
        [We conclude|We discuss implications|Further research is needed] [for {field}|on {sciobject}].
        """,
            )
        ),
        maybe(
            0.35,
            line(
                "[Keywords|Key words|Index terms]: {sciobject}, {sciobject}, {method}, {field}", "doi: 10.{nnnn}/{id}"
            ),
        ),
    ),
    untitled=0.15,
    ordered=True,
)

PLANS: dict[str, Plan] = {
    "press release": PRESS,
    "scientific abstract": ABSTRACT,
}
