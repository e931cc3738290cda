"""The wordings of the labels: names and descriptions of health, letters and publications."""

from __future__ import annotations

from .kind import Label
from .kind import label as _label

TEXTS: tuple[Label, ...] = (
    _label(
        "prescription",
        "health",
        """
        drug prescription; Rx; doctor's prescription; medication order; medication prescription; medicine order
        pharmacy prescription; doctor's order for medicine; prescribed medication
        """,
        """
        a doctor orders medicine for a patient with dose and duration
        tells the pharmacy which drug to dispense
        medicine, strength and how often to take it
        gives the patient the right to get medication
        names drug and dosage for a patient, signed by a doctor
        written order from a physician to a pharmacist
        """,
    ),
    _label(
        "survey form",
        "feedback",
        """
        questionnaire; feedback form; opinion poll form; customer satisfaction survey; survey; opinion questionnaire
        evaluation form; poll; list of survey questions
        """,
        """
        asks people to rate or answer questions for research
        questions with answer scales to be ticked by respondents
        collects opinions of customers, staff or visitors
        form with boxes from strongly agree to strongly disagree
        asks respondents for their opinions
        questions with options to choose or scales to mark
        """,
    ),
    _label(
        "itinerary",
        "travel",
        """
        booking confirmation; travel plan; trip schedule; reservation confirmation; e-ticket; travel itinerary
        flight booking; hotel reservation; trip plan; travel confirmation
        """,
        """
        travel plan with flights, hotels and times
        confirms a reservation of a room, flight or tour
        who travels when and where, with booking code
        day by day schedule of a trip
        lists flights, stays or stops of a journey
        tells a traveller about dates, places and bookings
        """,
    ),
    _label(
        "letter",
        "correspondence",
        """
        formal letter; personal letter; written correspondence; business letter; letter to a person or company
        correspondence; mailed letter; private letter; cover letter; thank-you letter
        """,
        """
        a person or company writes to another with greeting and closing
        correspondence starting with dear and ending with a signature
        written message sent by post about some matter
        cover, thank-you, resignation or private message on paper
        a signed written communication with salutation
        somebody addresses a reader politely about a matter and signs
        """,
    ),
    _label(
        "complaint letter",
        "correspondence",
        """
        letter of complaint; customer complaint; written complaint about a product or service; grievance letter
        complaint; letter expressing dissatisfaction; formal complaint; unhappy customer's letter
        """,
        """
        a dissatisfied customer protests about goods or service
        demands a refund, apology or replacement after bad experience
        expresses anger about a fault and asks to put it right
        describes what went wrong and what the writer expects
        a buyer is upset and wants it made good
        tells a company that something went badly and asks for redress
        """,
    ),
    _label(
        "memo",
        "correspondence",
        """
        memorandum; internal note; office memo; internal circular; notice to staff; interoffice memo; staff memo
        internal communication; memorandum to employees
        """,
        """
        short internal message to staff or colleagues in an organisation
        tells employees about a rule, change or event
        in-house note with to, from, date and subject
        circular from management inside a company
        announcement within a company to its employees
        in-house message about rules, dates or changes
        """,
    ),
    _label(
        "email",
        "correspondence",
        """
        e-mail message; electronic mail; mail with sender and subject line; email conversation; e-mail; mail message
        email message; electronic correspondence
        """,
        """
        electronic message with from, to and subject lines
        short note sent by computer between colleagues or customers
        informal or business message with mail addresses
        a reply or forwarded message with greeting and sign-off
        message sent online with subject and addresses
        someone writes to someone by e-mail
        """,
    ),
    _label(
        "support ticket",
        "feedback",
        """
        help desk ticket; trouble ticket; technical support request; incident report to IT; bug report; IT ticket
        service request; incident ticket; customer support case; help request
        """,
        """
        a user reports a technical problem and asks for help
        issue with status, priority and steps to solve it
        record of a fault handled by a help desk
        customer or employee needs assistance with software or a device
        describes a malfunction to the support team
        case number, priority and description of a computer problem
        """,
    ),
    _label(
        "press release",
        "publication",
        """
        media release; news release; press statement; company announcement to the media; press announcement
        corporate announcement; statement to the press; PR text
        """,
        """
        a company announces something new to journalists
        official announcement for the media with a quote and contact
        statement for immediate publication about a launch, deal or event
        news written by an organisation about itself
        company news written for the media
        public relations text announcing a product, deal or appointment
        """,
    ),
    _label(
        "scientific abstract",
        "publication",
        """
        research abstract; paper summary; abstract of a study; academic abstract; journal article summary; abstract
        study abstract; summary of research; research paper abstract
        """,
        """
        summarises a study: question, methods, results and conclusion
        short overview of research findings for scholars
        presents an experiment or model and what was found
        the opening summary of an academic paper
        researchers summarise what they did and found
        academic text on methods and results of a study
        """,
    ),
    _label(
        "news article",
        "publication",
        """
        newspaper article; news story; press report; journalist's report; news item; news; article from a newspaper
        news report; media report; current affairs story
        """,
        """
        a journalist reports an event of public interest
        tells readers what happened, where and who said what
        story from a newspaper or news site
        report on politics, sport, business, accidents or culture
        reports current events with quotes from people involved
        journalistic text about something that just happened
        """,
    ),
    _label(
        "product review",
        "feedback",
        """
        customer review; user review; buyer's opinion of a product; product rating and comment; review; customer rating
        consumer review; product feedback from a buyer; product opinion
        """,
        """
        a buyer tells others how good or bad an item is
        opinion on a product with stars, pros and cons
        experience with something bought, recommending it or not
        rating by a customer on a shop's website
        somebody who bought a product says whether it is good
        consumer's judgement with praise or criticism
        """,
    ),
    _label(
        "recipe",
        "instructions",
        """
        cooking recipe; baking recipe; cooking instructions; dish preparation; food recipe; cookbook recipe; meal recipe
        how to cook a dish; kitchen recipe
        """,
        """
        tells how to cook a dish with ingredients and steps
        ingredients, quantities, oven temperature and method
        instructions for preparing food
        how to make a meal, cake or drink at home
        list of ingredients followed by preparation steps
        explains how a dish is made
        """,
    ),
    _label(
        "user manual",
        "instructions",
        """
        operating instructions; instruction manual; user guide; assembly instructions; how-to guide
        instructions for use; device manual; product instructions; owner's manual; setup guide
        """,
        """
        explains how to install, use and care for a device
        safety notes, set-up steps and troubleshooting of an appliance
        step by step guide for operating a product or software
        instructions that come with a machine
        shows the owner how a product is operated safely
        technical instructions with warnings and steps
        """,
    ),
)
