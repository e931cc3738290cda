"""Papers of meetings: what shall be discussed and what was said and decided."""

from __future__ import annotations

from .blocks import both, fields, form, listing, maybe, say, under
from .plan import Plan

MINUTES = Plan(
    "[minutes|minutes|meeting notes|protocol] [of|from] [the |][{department} |board |weekly |annual general "
    "|project |committee ]meeting[|| {date}| held on {date}]|[meeting|board] minutes|minutes - {project}",
    (
        form(
            fields("""
        present|attendees|attended by|in attendance|members present = {person}, {person}, {person}[, {person}|]
        apologies|absent|apologies for absence = {person}[, {person}|]
        minutes taken by|secretary|minute taker|note-taker = {me}
        chair|chaired by|chairperson = {they}
        date|held on|meeting date = {date}
        place|venue|location = {venue}
        time|opened at|start = {time}
        """),
            (),
            2,
            6,
        ),
    ),
    (
        under(
            "[discussion|items discussed|proceedings|agenda items|1. opening|]",
            listing(
                """
        {they} [opened the meeting at {time}|welcomed those present|called the meeting to order at {time}].
        The minutes of the [last|previous] meeting were [approved|accepted|read and approved].
        {person} [reported|gave an update] on {project}[: {progress}|]. [{progress}.|]
        {person} [asked|raised the question] whether {project} [could be postponed|was within budget|affected \
          {department}].
        It was [agreed|decided|resolved] to {action}[ by {later}|].
        [The motion|A proposal] to {action} was [carried|adopted|rejected|approved] [unanimously|by {n} votes to \
          {digit}|with one abstention].
        [After some discussion|Following a debate], the [board|committee|team] [agreed|decided] to {action}.
        {person} [presented|explained] the {report}; [questions were raised about {issue}|the figures were noted].
        [There was concern|Members expressed concern] about {issue}.
        """,
                3,
                9,
            ),
            0.7,
        ),
        maybe(
            0.6,
            under(
                "[action items|actions|to do|next steps|decisions]",
                listing(
                    """
        {person}: {action} [by|until|before] {later}
        {person} to {action}
        Action: {action} - owner {person} - due {later}
        """,
                    1,
                    4,
                    1.0,
                    True,
                ),
                0.9,
            ),
        ),
        say(
            """
        [The meeting|There being no further business, the meeting] [closed|ended|was adjourned] at {time}.
        [Next meeting|The next meeting will be held on|Date of next meeting]: {later}[, {time}|, {venue}|].
        Signed as a true record: {they}
        """,
            1,
            2,
            0.8,
            True,
        ),
    ),
)

AGENDA = Plan(
    "[agenda|agenda|draft agenda|meeting agenda|order of business|programme][|| for {date}|: {project}| - "
    "{department} meeting| {date}]|notice of meeting and agenda",
    (
        form(
            fields("""
        topics|items to discuss|points = {project}; {project}; any other business
        invited|participants|invitees|to attend = {person}, {person}, {person}
        please prepare|please bring|preparation|documents = {report}
        meeting|event|session = {department} meeting|{project}
        date|when|date and time = {later}, {time}
        place|where|venue|room = {venue}
        chair|facilitator|host = {they}
        """),
            (),
            2,
            6,
        ),
    ),
    (
        maybe(
            0.4,
            say(
                """
        [You are invited|Members are invited|Please come] to [the|our] [next |]meeting on {later} [at {time} |]in \
          {venue}.
        Please [send|submit] [further items|additions to the agenda] to {mail} [before|by] {day}.
        """,
                1,
                2,
            ),
        ),
        listing(
            """
        [Welcome|Opening|Opening remarks|Welcome and introductions][ ({they})| - {time}|]
        [Approval|Confirmation|Review] of [the minutes of |]the [last|previous] [meeting|minutes]
        {time} {project} ({person})
        [Update|Report|Presentation] [on|about] {project}[ - {person}|, {nn} min|]
        [Discussion|Discussion and vote|Decision needed]: {issue}
        {time} - {time} {project}
        [Coffee|Lunch|Tea] break[ {time}|, 15 min|]
        {report} [- {person}|({nn} minutes)|]
        [Any other business|AOB|Questions|Open floor|Miscellaneous]
        [Date of next meeting|Closing|Close of meeting {time}|Wrap-up and next steps]
        [Budget|Staffing|Proposal] for {project}
        [Workshop|Group work|Keynote]: {issue}
        """,
            5,
            11,
        ),
        maybe(0.2, both(say("[Minutes will be taken by|Questions to] {person}.", 1, 1))),
    ),
    untitled=0.12,
)

PLANS: dict[str, Plan] = {
    "meeting minutes": MINUTES,
    "agenda": AGENDA,
}
