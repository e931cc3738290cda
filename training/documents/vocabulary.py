"""Names of people and companies of many cultures, kept as parts that combine into very many."""

from __future__ import annotations

from .grammar import phrases, words

FIRST_NAMES = words("""
James Mary Robert Linda Michael Susan David Karen Thomas Nancy Daniel Emily Andrew Laura Peter Helen George Alice Henry
Grace Oliver Chloe Jack Sophie Harry Ruby Ewan Fiona Rhys Megan Liam Aoife Sean Niamh Tyler Brooke Jordan Kayla Mason
Hans Greta Jürgen Sabine Klaus Heike Stefan Anke Matthias Ulrike Lukas Lena Pierre Camille Jean Margaux Luc Hélène
Antoine Élodie Thierry Claire Giulia Marco Paolo Chiara Luca Francesca Enzo Bianca Carlos María Javier Lucía Diego
Carmen Andrés Paula Miguel Rosa João Beatriz Rui Inês Tiago Larissa Pedro Fernanda Sven Ingrid Lars Astrid Erik Maja
Nils Karin Mikko Aino Jari Päivi Jan Anneke Pieter Marijke Bram Femke Piotr Agnieszka Tomasz Katarzyna Marek Zofia
Petr Jana Pavel Eva László Katalin Gábor Ildikó Ivan Olga Dmitri Svetlana Sergei Natalia Yuri Irina Nikos Eleni Yannis
Dimitra Mehmet Ayşe Emre Zeynep Burak Elif Ahmed Fatima Omar Layla Youssef Amina Karim Nour Hassan Samira Reza Shirin
David Noa Eitan Tamar Arjun Priya Rahul Ananya Vikram Meera Sanjay Kavita Imran Ayesha Bilal Sana Wei Li Jing Ming Hui
Xiaoli Jun Yan Haruto Yuki Kenji Sakura Takashi Emiko Minjun Jiwoo Seojun Hana Nguyen Linh Minh Thao Somchai Malee Budi
Siti Rizky Dewi Jose Maricel Kwame Ama Chinedu Ngozi Tunde Folake Wanjiru Kamau Thabo Naledi Sipho Zanele Abebe Hiwot
Desta Moana Tane Aroha Malia Keanu Priscilla Desmond Yvonne Winston Marcia Otis Beryl Dwayne Shanice
""")

LAST_NAMES = words("""
Smith Johnson Williams Brown Taylor Wilson Clarke Walker Wright Hughes Green Hall Wood Harris Turner Cooper Ward Morris
Bailey Parker Bennett Carter Foster Graham Hayes Webb Barker Chapman Dixon Fletcher Gibson Holt Irving Jarvis Kerr Lowe
MacLeod Campbell Murray Sinclair O'Brien Murphy Kelly Byrne Gallagher Evans Davies Griffiths Llewellyn Miller Anderson
Thompson Jackson Robinson Lewis Young Allen Scott Baker Adams Nelson Mitchell Roberts Phillips Schmidt Müller Weber
Schneider Fischer Wagner Becker Hoffmann Schäfer Koch Richter Klein Wolf Neumann Zimmermann Krüger Hartmann Lange Dubois
Lefebvre Moreau Laurent Girard Bonnet Rousseau Fontaine Chevallier Mercier Blanchard Gauthier Rossi Ferrari Esposito
Bianchi Romano Colombo Ricci Marino Conti Greco García Martínez López Sánchez Pérez Gómez Fernández Ruiz Díaz Moreno
Navarro Ortega Delgado Castillo Herrera Silva Santos Oliveira Pereira Costa Almeida Ribeiro Carvalho Nunes Andersson
Johansson Karlsson Nilsson Lindqvist Berglund Hansen Olsen Larsen Kristiansen Haugen Jensen Nielsen Møller Virtanen
Korhonen Mäkinen Heikkinen De Vries Jansen Bakker Visser Smit Meijer Peeters Claes Kowalski Nowak Wiśniewski Zieliński
Novák Svoboda Dvořák Horváth Szabó Kovács Varga Ivanov Petrov Smirnov Kuznetsova Popescu Ionescu Papadopoulos Georgiou
Nikolaidis Yılmaz Demir Kaya Şahin Öztürk Haddad Mansour Khalil Nasser El-Sayed Farouk Hosseini Karimi Cohen Levi
Mizrahi
Sharma Patel Gupta Singh Reddy Iyer Nair Chatterjee Mehta Khan Ahmed Hussain Malik Chowdhury Perera Fernando Wang Zhang
Liu Chen Yang Huang Zhao Wu Zhou Lin Tanaka Suzuki Sato Watanabe Yamamoto Nakamura Kobayashi Kim Park Choi Jung Tran
Pham
Le Hoang Vo Suwannarat Wijaya Santoso Hidayat Reyes Cruz Bautista Ramos Mensah Owusu Boateng Okafor Adeyemi Okonkwo
Balogun Mwangi Otieno Kiplagat Nkosi Dlamini Mokoena Botha Van der Merwe Tesfaye Bekele Tui Rangi Kahale Grant Bogle
""")

SYLLABLE_STARTS = words("""
al ar bel bra cal cor dan del dor el fen fer gal hel in kal ker lan lor lum mar mer mon nor nov or pan pel quan ral ren
sal sen sil sol tal ter tor tri ul val ver vin vor wel xan yor zan zen aqua bio eco geo micro nano omni opti pro syn uni
""")
SYLLABLE_ENDS = words("""
a ado aga an and ara aris ax co da dex dia don edo ell en era eta ex ia ica ida ika ima ina ion is ita ium ix lo lon ma
mar max mera mia mont na net nia o on ora os ova pex ra ran ria rio ro ron sis sol ta tec tek tia to tra tron um us va
vex
via vis ward wave xa xis y za zo
""")

COMPANY_TRADES = phrases("""
Trading; Foods; Fine Foods; Logistics; Freight; Hardware; Tools; Supplies; Office Supplies; Electronics; Systems
Software
Solutions; Consulting; Engineering; Construction; Textiles; Fashion; Garments; Medical; Pharma; Laboratories
Garden Centre
Nurseries; Motors; Auto Parts; Chemicals; Plastics; Packaging; Printing; Media; Publishing; Energy; Power; Water
Telecom
Mobile; Insurance; Finance; Capital; Bank; Properties; Estates; Catering; Bakery; Brewery; Wines; Beverages; Dairy
Seafood
Meats; Produce; Farms; Imports; Export; Wholesale; Distribution; Stores; Markets; Retail; Furniture; Interiors; Lighting
Cleaning; Facilities; Security; Travel; Tours; Hotels; Shipping; Transport; Couriers; Marine; Aviation; Steel; Metals
Timber
Paper; Glass; Ceramics; Optics; Instruments; Robotics; Analytics; Design; Studio; Books; Toys; Sports; Outdoor
Cosmetics
""")
COMPANY_ENDS = phrases("""
Ltd; Ltd.; Limited; Inc.; Inc; LLC; Corp.; Corporation; PLC; & Co.; & Sons; & Daughters; Brothers; Group; Holdings; GmbH
AG; KG; S.A.; SARL; SAS; S.p.A.; S.r.l.; B.V.; N.V.; AB; A/S; AS; Oy; Sp. z o.o.; s.r.o.; Kft.; Lda; S.L.; Pty Ltd
Pte Ltd
Co., Ltd; K.K.; Pvt. Ltd.; Partners; International; Worldwide; Associates; Cooperative; Trust
""")
COMPANY_FORMS = phrases("""
{last} {ctrade}; {last} {ctrade} {cend}; {last} {cend}; {last} & {last}; {last} & {last} {cend}; {last}, {last} & {last}
{coined} {cend}; {coined} {ctrade}; {coined} {ctrade} {cend}; {coined}; {city} {ctrade}; {city} {ctrade} {cend}
The {cadj} {cnoun}; {cadj} {cnoun} {ctrade}; {cadj} {cnoun} {cend}; {cnoun} & {cnoun}; {first}'s {ctrade}
{last}'s {cnoun}
[Vins|Fromages|Épices|Maison|Boulangerie|Papeterie] {last}; [Comércio|Mercearia|Padaria|Casa] {last}
[Bodega|Tienda|Ferretería|Almacenes|Panadería] {last}; [Trattoria|Forno|Cantina|Officine|Ditta] {last}
{last} [Feinkost|Großhandel|Handel|Spedition|Werkzeuge|Getränke]; {last} [Handels|Livs|Mat|Bygg] AB
{last} [Tukku|Kauppa] Oy
[Hotel|Café|Restaurant|Bistro|Pension] {last}; {cadj} {cnoun} [Café|Deli|Market|Grocers|Stores]
[North|South|East|West] {city} {ctrade}
""")
COMPANY_ADJECTIVES = words("""
Blue Green Red Golden Silver White Black Bright Clear Grand Royal Northern Southern Eastern Western Old New First Prime
Rapid Swift Happy Hungry Quiet Wild Modern Classic Global United National Central Pacific Atlantic Alpine Coastal
""")
COMPANY_NOUNS = words("""
Star Harbour River Bridge Oak Maple Pine Cedar Falcon Eagle Fox Lion Bear Otter Heron Anchor Lantern Compass Mill Forge
Crown Castle Gate Tower Summit Valley Meadow Orchard Garden Kettle Barrel Basket Spoon Table Hearth Sun Moon Horizon
Arrow Wheel Anvil Beacon Canyon Delta Ridge Stone Crystal Feather Clover Thistle Rose Lotus
""")
