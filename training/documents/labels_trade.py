"""The wordings of the labels: names and descriptions of papers of trade and transport."""

from __future__ import annotations

from .kind import Label
from .kind import label as _label

TRADE: tuple[Label, ...] = (
    _label(
        "invoice",
        "order-to-cash",
        """
        sales invoice; tax invoice; commercial invoice; request for payment of goods; supplier's invoice
        invoice for goods or services; vendor invoice; bill for goods; accounts receivable invoice
        statement of amount due for a sale; customer invoice
        """,
        """
        a seller charges a customer for goods or services supplied
        lists what was sold and the amount the buyer now has to pay
        asks for payment of delivered items with prices, tax and a due date
        itemised demand for money from vendor to client
        the seller bills its customer for products already ordered or delivered
        statement of sums owed for a particular sale
        document a company sends to get paid for a sale
        tells the customer how much to pay for goods or work received
        charges for delivered products, with invoice number and payment terms
        """,
    ),
    _label(
        "credit note",
        "order-to-cash",
        """
        credit memo; refund note; credit memorandum; note of credit to a customer; seller's credit note
        cancellation of invoice; credit to customer account; return credit; negative invoice
        """,
        """
        a seller gives money back or lowers a claim after returned goods or an error
        reduces what a customer owes because of a return, overcharge or discount
        the supplier corrects an earlier invoice downwards
        confirms that an amount was credited to the buyer's account
        cancels all or part of a previous charge
        document that reduces the amount of an invoice already issued
        gives the customer credit for goods sent back
        """,
    ),
    _label(
        "debit note",
        "order-to-cash",
        """
        debit memo; debit memorandum; chargeback note; notice of additional charge; claim against a supplier
        additional charge notice; supplementary debit; debit advice; debit notice to a business partner
        """,
        """
        raises what the other party owes after an undercharge or returned goods
        claims an additional sum by debiting the partner's account
        corrects an earlier invoice upwards
        tells a supplier that its account is charged for faulty goods
        notice that an account has been charged for a shortfall
        informs a business partner that its debt has grown
        used to charge back costs or price differences
        """,
    ),
    _label(
        "quote",
        "order-to-cash",
        """
        quotation; price offer; sales quote; estimate; offer to a prospective customer; tender; cost proposal; bid
        pricing proposal; offer; quotation for goods or services
        """,
        """
        offers goods or work at stated prices, open for acceptance until a date
        tells a prospective buyer what something would cost
        non-binding price offer before any order is placed
        answers an enquiry with prices and conditions
        estimate of the cost of a job sent to a potential client
        states what the seller would charge if the buyer ordered
        proposal with prices, sent ahead of any order
        """,
    ),
    _label(
        "receipt",
        "order-to-cash",
        """
        sales receipt; till receipt; proof of payment; payment receipt; cash register slip; acknowledgement of payment
        payment slip; shop receipt; paid receipt; POS receipt
        """,
        """
        proves that a purchase has been paid
        slip from a shop or till listing items and how they were paid
        confirms money received from a customer
        shows cash or card payment, change and the store
        acknowledges that the payer has settled the sum
        given to the buyer after paying
        evidence that money changed hands for goods or services
        """,
    ),
    _label(
        "price list",
        "stock-and-sales",
        """
        tariff sheet; catalogue of prices; rate card; product price list; list of prices; wholesale price list
        product catalogue with prices; list of rates; trade price list; menu of prices
        """,
        """
        shows what each product costs without any order being placed
        a catalogue of items with their current prices
        rates at which goods or services are offered to everyone
        lists products, packings and prices valid from a date
        tells dealers the prices of the whole range
        overview of sale prices for a range of articles
        general offer prices per article, not tied to any customer order
        """,
    ),
    _label(
        "stock report",
        "stock-and-sales",
        """
        inventory report; inventory list; stock list; warehouse stock status; stock on hand report; stock-taking record
        inventory count; inventory status report; stock level overview; warehouse inventory; goods on hand listing
        """,
        """
        shows how many units of each product lie in the warehouse
        lists quantities on hand, sold and to be reordered
        overview of inventory levels at a given date or month
        counts goods in store per item and location
        internal listing of what is in stock and what runs low
        periodic record of units sold and units remaining per category
        tells how many items are left in storage and their value
        report on stock levels per product or category
        """,
    ),
    _label(
        "purchase order",
        "order-to-cash",
        """
        PO; buyer's order; order to supplier; order for goods; purchasing order; procurement order
        order placed with a vendor; customer purchase order; purchase request to vendor; buying order
        order form for supplies
        """,
        """
        asks a supplier to deliver goods at stated prices
        a buyer orders products from a vendor
        lists what a customer orders, with quantities and prices, before delivery and billing
        instruction to a vendor to supply items by a date
        the purchasing side commits itself to buy the listed items
        records an order with its order date, customer and ordered products
        order from a buyer stating items, amounts and price
        formal request to buy products sent before any invoice
        """,
    ),
    _label(
        "sales order confirmation",
        "order-to-cash",
        """
        order confirmation; order acknowledgement; sales order; acceptance of an order; confirmed customer order
        confirmation of order; order receipt notice; seller's order acceptance; booked order notice
        """,
        """
        the seller accepts a customer's order and repeats what will be delivered
        tells a buyer that the order was received and when it will come
        acknowledges an incoming order with items, prices and delivery date
        binding acceptance of a purchase before shipping
        thanks for an order and confirms its details
        seller promises to fulfil the order it has received
        replies to a purchase order by confirming it
        """,
    ),
    _label(
        "shipping order",
        "shipping",
        """
        dispatch order; shipping instruction; shipment order; order to ship goods; warehouse release order
        forwarding order; shipping details of an order; delivery order to a carrier; shipping notice; ship order
        transport order
        """,
        """
        tells warehouse or carrier which goods to send where
        orders the dispatch of products to a named address through a shipper
        shows ship-to address, shipper, shipped date and the products to be sent
        instruction to move goods to a customer by a carrier
        details of the shipment of an order: who carries it, when and to whom
        says where an order is shipped, by which shipper and on what date
        used in logistics to get an order out of the warehouse
        """,
    ),
    _label(
        "delivery note",
        "shipping",
        """
        goods delivery note; delivery docket; dispatch note; advice of delivery; delivery slip; proof of delivery
        delivery receipt; goods received note; consignment delivery slip; delivery ticket
        """,
        """
        accompanies goods and lets the receiver check and sign for them
        lists delivered quantities, usually without prices
        proof that the items arrived, signed by the recipient
        paper handed over with a delivery
        tells the customer what was delivered and what is still to follow
        comes with the shipment and is signed on arrival
        confirms the handover of goods to the customer
        """,
    ),
    _label(
        "packing list",
        "shipping",
        """
        packing slip; list of contents; package list; carton list; bill of parcel contents; packing note
        contents list of a shipment; shipment packing details; cargo packing list
        """,
        """
        says what is in each box with weights and dimensions
        contents of a consignment per carton or pallet
        details packages, net and gross weight of a shipment
        enclosed in a parcel so that its contents can be checked
        describes how goods are packed in cartons or pallets
        shows box numbers, quantities and weights for a consignment
        """,
    ),
    _label(
        "bill of lading",
        "shipping",
        """
        B/L; ocean bill of lading; sea waybill; carrier's transport document; consignment note of a carrier
        shipping bill of lading; BOL; marine transport document; cargo receipt of the carrier
        """,
        """
        a carrier acknowledges goods taken on board for transport
        shows vessel, ports, containers and consignee of a sea shipment
        title to goods carried by ship or truck
        transport contract between shipper and carrier
        carrier's receipt for cargo with ports and vessel
        lets the consignee collect cargo at the port of destination
        document of sea freight naming shipper, consignee and notify party
        """,
    ),
    _label(
        "customs declaration",
        "shipping",
        """
        import declaration; export declaration; customs entry; customs form; declaration of goods at the border
        customs clearance form; import entry; declaration to customs; customs document
        """,
        """
        declares goods, their value and origin to the border authority
        filed for importing or exporting merchandise so that duty can be assessed
        gives tariff codes, customs value and duty of a consignment
        paper for clearing a parcel or shipment through the border
        statement of imported or exported goods for the customs office
        lists contents, origin and value of goods crossing a border
        tells customs what is being sent across the border
        """,
    ),
)
