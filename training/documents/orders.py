"""Orders and what moves the goods: purchase order to customs declaration, with many fields in common."""

from __future__ import annotations

from .blocks import fields, form, maybe, party, say
from .fields import BUYER_PO, COMMON, PLACES, REFERENCES, SHIP_TO, TERMS
from .plan import Plan, kind
from .tables import items, totals

_HEADS = "products|items|order details|details|product details|line items|articles|goods"

_PO_MARKS = fields("""
purchase order no.|po number|po no.|po #|purchase order id|purchase order|our order no.|p.o. number = {docid}
vendor|vendor name|supplier|supplier name|ordered from|order to = {seller}
buyer|ordered by|purchaser|purchasing agent|buyer name|requisitioner|requested by = {you}
authorised by|approved by|authorized signature|approval = {they}
required by|deliver by|delivery required|date required|need by date|delivery required by = {later}
invoice to|send invoice to|bill to = {buyer}, {address}
vendor no.|supplier id|vendor code|supplier no. = {code}
requisition no.|requisition|purchase request|budget code = {id}
""")
PURCHASE_ORDER = kind("purchase order", "order-to-cash", """
PO|buyer's order|order to supplier|order for goods|purchasing order|procurement order|order placed with a vendor
""", """
asks a supplier to deliver goods at stated prices
a buyer orders products from a vendor
lists what a customer orders, with quantities and prices, before delivery and billing
instruction to a vendor to supply items by a date
the purchasing side commits itself to buy the listed items
records an order with its order date, customer and ordered products
""", Plan(
    "[|||our |blanket |standard ]purchase order[|s||| no. {docid}| #{docid}| {docid}| to {seller}| - {buyer}]|P.O.[| {docid}]|order to supplier|purchase order form",
    (
        party("vendor|supplier|to|seller|order to", "vendor|supplier|seller", "seller", 0.6),
        party("|||buyer|ordered by|bill to|customer|purchaser", "buyer|customer|company|ordering party|", "buyer", 0.7),
        maybe(0.35, party("ship to|deliver to|delivery address", "ship to|delivery", "third", 0.7)),
        form(_PO_MARKS, COMMON + TERMS + PLACES + SHIP_TO[:2], 3, 9),
    ),
    (
        say("""
        Please [supply|deliver|send us|provide] the following [goods|items|materials|articles] [by {later}|at the prices stated|on the terms below][:|.]
        We [hereby order|would like to order|order|herewith place an order for] the [items|goods|following items] [listed |]below[:|.]
        """, 1, 1, 0.3, True),
        items("name quantity price", "number sku unit total total discount", 1, 7, 0.95, _HEADS),
        totals("order total|total order value|total|po total|total|estimated total|total price|grand total"),
        say("""
        Please [quote|state|show] [our|this] [order number|PO number|purchase order number] on all [invoices|delivery notes and invoices|correspondence].
        Please [confirm|acknowledge] [receipt of |]this [order|purchase order] [within {n} days|by return|by e-mail to {mail}].
        [Goods|Deliveries] will [only |]be accepted [on weekdays until {time}|with a delivery note|at gate {digit}].
        [Payment|We pay] {nn} days after [receipt of goods and invoice|delivery].
        [Deliver|Delivery required|Goods are needed] [by|no later than] {later}.
        Authorised [signature|by|for {buyer}]: {they}[, purchasing|, head of procurement|].
        Ref. your [quotation|offer] [no. |]{id} of {earlier}.
        """, 1, 3, 0.55, True),
    ),
))  # fmt: skip

_CONFIRM_MARKS = fields("""
order confirmation no.|confirmation no.|acknowledgement no|sales order no.|confirmation number|so no. = {docid}
expected delivery|estimated delivery|estimated ship date|confirmed delivery date|promised date|expected dispatch = {later}
order received|order received on|we received your order on = {earlier}
order status|status = [confirmed|accepted|in process|scheduled|being prepared]
confirmed by|order accepted by|order entered by = {me}
""")
CONFIRMATION = kind("sales order confirmation", "order-to-cash", """
order confirmation|order acknowledgement|sales order|acceptance of an order|confirmed customer order
""", """
the seller accepts a customer's order and repeats what will be delivered
tells a buyer that the order was received and when it will come
acknowledges an incoming order with items, prices and delivery date
binding acceptance of a purchase before shipping
thanks for an order and confirms its details
""", Plan(
    "[sales |][order|order|sales order] [confirmation|acknowledgement|confirmation|acknowledgment][|| {docid}| no. {docid}]|we confirm your order|your order is confirmed|order confirmed",
    (
        party("|||from|seller", "seller|company|", "seller", 0.7),
        party("customer|sold to|to|bill to|your details", "customer|buyer|", "buyer", 0.8),
        form(_CONFIRM_MARKS, COMMON + BUYER_PO + TERMS + SHIP_TO, 3, 8),
    ),
    (
        say("""
        [Thank you for your order|Many thanks for your order|We thank you for your order][| of {earlier}| no. {orderid}], which we [confirm|accept|are pleased to confirm] [as follows|on the terms below|].
        We [hereby |]confirm [receipt of |]your [purchase order|order] [no. |]{orderid} [dated|of] {earlier}.
        Your order [has been received and is being processed|is confirmed|has been accepted and scheduled].
        [Great news|Hello {yourfirst}|Dear {you}|Good news], your order [{orderid} |]is confirmed[!|.]
        """, 1, 2, 0.75, True),
        items("name quantity price", "number sku unit total discount", 1, 6, 0.9, _HEADS),
        totals("order total|total|total value of order|order value|total to be invoiced"),
        say("""
        [We expect to|We will|Our warehouse will] [ship|dispatch|deliver] [your order|the goods] [on|by|around] {later}.
        [You will receive|We will send you] [an invoice|a shipping notice with tracking number|an e-mail] [when|as soon as] the goods [leave our warehouse|are dispatched].
        Please check [this confirmation|all details] and [tell us|inform us] of any [error|deviation] within {n} [days|hours].
        Our [general|standard] terms and conditions [of sale |]apply.
        """, 1, 3, 0.65, True),
    ),
))  # fmt: skip

_SHIPPING_MARKS = fields("""
ship via|shipped via|shipper|shipper name|carrier|shipping company|freight forwarder|courier = {coined} [Express|Freight|Logistics|Shipping|Parcel|Package|Couriers]
shipped date|ship date|date shipped|shipping date|dispatch date|to be shipped on|required ship date = {day}
shipping order no.|shipment id|shipment no.|shipping order|dispatch order no. = {docid}
ship name|ship to name|consignee name = {buyer}
shipping method|mode of shipment|shipping service|service = [air|road|sea|express|standard|ground|overnight|rail]
freight|freight cost|shipping cost|freight charge = {small}
tracking no.|tracking number|awb|waybill = {id}
picked by|packed by|released by|dispatcher = {me}
shipping instructions|handling instructions|special instructions = [keep dry|fragile|do not stack|deliver to rear gate|call before delivery]
required date|requested arrival|deliver before = {later}
""")
SHIPPING_ORDER = kind("shipping order", "shipping", """
dispatch order|shipping instruction|shipment order|order to ship goods|warehouse release order|forwarding order|shipping details of an order
""", """
tells warehouse or carrier which goods to send where
orders the dispatch of products to a named address through a shipper
shows ship-to address, shipper, shipped date and the products to be sent
instruction to move goods to a customer by a carrier
details of the shipment of an order: who carries it, when and to whom
""", Plan(
    "shipping order[|||s| {docid}| no. {docid}]|[dispatch|shipment|delivery dispatch|ship] order[| {docid}]|shipping [instructions|instruction|details]|order to ship|shipment details|warehouse dispatch order",
    (
        party("ship to|ship to|consignee|deliver to|shipping details|shipping address", "ship|ship|ship to|consignee|shipping", "buyer", 0.85),
        maybe(0.5, party("customer|ordered by|sold to|ship from|shipped from", "customer|client|ship from", "third", 0.7)),
        maybe(0.4, party("shipper|carrier|shipper details", "shipper|carrier|shipping company", "seller", 0.8)),
        form(_SHIPPING_MARKS, COMMON + BUYER_PO + TERMS[:1] + SHIP_TO + PLACES, 3, 9),
    ),
    (
        say("""
        Please [ship|dispatch|forward|send] the [following |listed ][goods|items|products] [to the above address|as instructed|by {later}][:|.]
        The [goods|items] below [are to be|must be] [shipped|collected|dispatched] [from {city} |]on {later} [by {coined} Freight|via {coined} Express|].
        """, 1, 1, 0.25, True),
        items("name quantity", "number sku unit price price total shipped weight", 1, 7, 0.95, _HEADS),
        totals("total|total price|total value|order total|goods value", 0.45),
        maybe(0.3, form(_SHIPPING_MARKS, (), 1, 3)),
        say("""
        [Pick|Pack] and [load|ship] [all items|the complete order] [together|in one consignment] [before {time}|by {later}].
        Freight [prepaid|collect|to be charged to {buyer}|charges paid by the sender].
        [Carrier|The carrier|The shipper] will collect [at|from] {city} [on {later}|between {time} and {time}].
        [Send|Forward] the tracking number to {mail}[ after dispatch|].
        [The invoice is sent separately.|Enclose a copy of invoice {id}.|Obtain a signature on delivery.]
        """, 1, 2, 0.35, True),
    ),
    services=False,
))  # fmt: skip

_DELIVERY_MARKS = fields("""
delivery note no.|delivery note|delivery docket|dn no.|delivery no.|delivery slip no = {docid}
delivery date|delivered on|date of delivery|date delivered = {date}
received by|goods received by|signature of recipient|customer signature|received in good order = [____________|{you}|.............]
driver|delivered by|vehicle no.|driver name = {me}
received in good condition|goods checked|condition of goods = [yes|ok|yes / no|signed {you}]
delivery time|time of arrival|arrived = {time}
""")
DELIVERY_NOTE = kind("delivery note", "shipping", """
goods delivery note|delivery docket|dispatch note|advice of delivery|delivery slip|proof of delivery
""", """
accompanies goods and lets the receiver check and sign for them
lists delivered quantities, usually without prices
proof that the items arrived, signed by the recipient
paper handed over with a delivery
tells the customer what was delivered and what is still to follow
""", Plan(
    "[||goods ]delivery note[||| {docid}| no. {docid}]|delivery [docket|slip|receipt]|proof of delivery|dispatch note|goods delivered",
    (
        party("|||from|sender", "supplier|sender|", "seller", 0.65),
        party("deliver to|delivered to|delivery address|customer", "delivery|deliver to|customer", "buyer", 0.85),
        form(_DELIVERY_MARKS, COMMON + BUYER_PO + SHIP_TO[:2], 3, 8),
    ),
    (
        items("name delivered", "number sku unit ordered backorder weight", 1, 7, 0.95, "goods delivered|items|delivered items|contents"),
        say("""
        [Goods|The above goods] received [complete and |]in good [condition|order]. [Signature|Signed|Name]: {they}
        [Please check|Check] the [goods|delivery] [on arrival|immediately] and report [damage|shortages|any shortage] within {n} days.
        [Received by|Signature of recipient|Signed for by] [______________|{they}|................] [date|on] [________|{date}]
        [The invoice will follow|Invoice follows|An invoice will be sent separately|Invoice {id} is enclosed].
        {digit} [items|articles|lines] [to follow|on back order|still outstanding] [and will be delivered by {later}|].
        Delivered [on|] {digit} pallet[s|] by [our own vehicle|{coined} Transport], driver {they}.
        [Empty pallets and crates to be returned.|Left with neighbour.|Delivered to reception.]
        """, 1, 3, 0.75, True),
    ),
    services=False,
))  # fmt: skip

_PACKING_MARKS = fields("""
packing list no.|packing slip no|packing list|pack list # = {docid}
total cartons|no. of packages|number of packages|total packages|packages|boxes = {n}
gross weight|total gross weight|g.w. = {weight}
net weight|total net weight|n.w. = {weight}
marks and numbers|shipping marks|case marks|marks & nos = {code} {city} [1-{n}|no. 1/{n}]
total volume|measurement|cbm|cube = {decimal} [m3|cbm]
packed by|packer|packing date = {me}|{date}
""")
PACKING_LIST = kind("packing list", "shipping", """
packing slip|list of contents|package list|carton list|bill of parcel contents
""", """
says what is in each box with weights and dimensions
contents of a consignment per carton or pallet
details packages, net and gross weight of a shipment
enclosed in a parcel so that its contents can be checked
""", Plan(
    "[|||export |detailed ]packing [list|list|slip|list][||| {docid}| no. {docid}]|[carton|container] contents|packing specification",
    (
        party("|||shipper|exporter|from", "exporter|shipper|", "seller", 0.65),
        party("consignee|ship to|to|deliver to", "consignee|ship to", "buyer", 0.75),
        form(_PACKING_MARKS, COMMON + BUYER_PO + TERMS[:1], 3, 8),
    ),
    (
        items("carton name quantity", "weight weight dimensions sku unit number", 1, 7, 0.95, "contents|packages|packing details"),
        say("""
        [Total|Packed in] {n} [cartons|cases|boxes|pallets][,|:] [gross weight|g.w.] {weight}, [net weight|n.w.] {weight}.
        [Please|Kindly] check the contents [of all cartons |]against this [packing list|list].
        [Packed|Contents checked] by {me}. [Carton {digit} contains the documents.|]
        Goods are packed [in export cartons|on euro pallets|in wooden cases|in fibre drums][ and shrink-wrapped|].
        [The commercial invoice is in carton {digit}.|No prices are shown; see invoice {id}.|Contents may be spread over several boxes.]
        """, 1, 3, 0.6, True),
    ),
    services=False,
))  # fmt: skip

_PORT = "[Hamburg|Rotterdam|Shanghai|Ningbo|Felixstowe|Santos|Singapore|Los Angeles|Antwerp|Mumbai|Durban|Genoa|Busan|Le Havre]"
_LADING_MARKS = fields(f"""
b/l no.|bill of lading no.|bill of lading number|bl number = {{docid}}
vessel|ocean vessel|vessel / voyage|ship|vessel name = [MV|M/V|MS] {{coined}} [Star|Express|Bay|Spirit] [V.{{nnn}}|{{nn}}W]
port of loading|loading port|pol = {_PORT}
port of discharge|discharge port|pod = {_PORT}
notify party|also notify|notify address = {{third}}
container no.|container / seal|container and seal no. = {{code}}{{nnnn}}{{digit}}, seal {{id}}
place of receipt|place of delivery|final destination = {{city}}
freight|freight charges|freight terms = freight [prepaid|collect|payable at destination]
no. of original bills|originals|number of originals = [three (3)|3/3|three|3]
carrier|ocean carrier|carrier's agent = {{coined}} [Line|Shipping Lines|Container Line]
""")
BILL_OF_LADING = kind("bill of lading", "shipping", """
B/L|ocean bill of lading|sea waybill|carrier's transport document|consignment note of a carrier
""", """
a carrier acknowledges goods taken on board for transport
shows vessel, ports, containers and consignee of a sea shipment
title to goods carried by ship or truck
transport contract between shipper and carrier
""", Plan(
    "[|||ocean |through |straight |combined transport |non-negotiable ]bill of lading[||| {docid}| no. {docid}]|sea waybill|bill of lading for port to port shipment",
    (
        party("shipper|exporter|shipper/exporter", "shipper", "seller", 0.9),
        party("consignee|consigned to order of|consignee (to order)", "consignee", "buyer", 0.9),
        form(_LADING_MARKS, REFERENCES[1:4] + TERMS[:1], 4, 10),
    ),
    (
        items("carton name weight", "quantity dimensions hscode unit", 1, 4, 0.8, "particulars furnished by shipper|description of packages and goods"),
        say("""
        [Shipped|Received] on board [in apparent good order and condition|the vessel named above] [on {date}|at """ + _PORT + """].
        [Clean on board|Shipped on board] {date}. [Freight prepaid.|Freight collect.]
        In witness whereof the [carrier|master] has signed [three|two] original bills of lading, [one being accomplished the others to stand void|all of this tenor and date].
        [Shipper's load, stow and count|Said to contain|STC] {nn} [packages|cartons|drums|pallets].
        The carrier [is not liable|shall not be liable] for [loss|delay|damage] [caused by inherent vice|beyond its control].
        """, 1, 3, 0.75, True),
    ),
    services=False,
))  # fmt: skip

_CUSTOMS_MARKS = fields("""
declaration no.|customs declaration no.|mrn|entry number|entry no. = {docid}
customs office|office of exit|port of entry|customs station = {city}
declarant|customs broker|declarant / representative|importer of record = {third}
customs value|declared value|statistical value|value for customs = {total}
import duty|duty|duty rate|duty payable|customs duty = [{pct}|{money}]
procedure code|regime|customs procedure = [4000|1000|4071|3151|IM 4|EX A]
country of origin|origin of goods|country of dispatch = {country}
eori no.|importer's tax no|trader id = {vatid}
type of goods|category of item|contents = [gift|merchandise|commercial sample|documents|returned goods]
""")
CUSTOMS = kind("customs declaration", "shipping", """
import declaration|export declaration|customs entry|customs form|declaration of goods at the border
""", """
declares goods, their value and origin to the border authority
filed for importing or exporting merchandise so that duty can be assessed
gives tariff codes, customs value and duty of a consignment
paper for clearing a parcel or shipment through the border
""", Plan(
    "customs [declaration|declaration|entry|form CN{nn}][|| {docid}]|[import|export] [declaration|entry summary]|single administrative document|declaration for customs",
    (
        party("exporter|sender|consignor|exporter / sender", "exporter|sender", "seller", 0.8),
        party("importer|consignee|addressee", "importer|consignee", "buyer", 0.8),
        form(_CUSTOMS_MARKS, REFERENCES[1:4] + TERMS[:1], 3, 9),
    ),
    (
        items("name hscode origin", "quantity weight value unit", 1, 5, 0.85, "goods declared|items|particulars of goods"),
        say("""
        I [hereby |]declare that the [particulars|information] given [in this declaration |]are [true|correct|true and complete].
        [I certify that this item does not contain any dangerous article|The goods contain no prohibited articles] [prohibited by postal or customs regulations|].
        [Duty|Customs duty] [assessed|payable]: {money}, [import VAT|VAT] {money}. [Released by customs on {date}.|]
        [Goods|The consignment] [released for free circulation|cleared|presented at {city}] on {date}.
        [The commercial invoice {id} is attached.|Certificate of origin attached.|See packing list for details.]
        """, 1, 3, 0.7, True),
    ),
    services=False,
))  # fmt: skip

KINDS = (PURCHASE_ORDER, CONFIRMATION, SHIPPING_ORDER, DELIVERY_NOTE, PACKING_LIST, BILL_OF_LADING, CUSTOMS)
