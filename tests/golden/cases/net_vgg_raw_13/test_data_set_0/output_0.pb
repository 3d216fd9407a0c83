
BoutputJ(k»‰;p&<$ô°<AØC?–6Ž<€GŒ<Nå_<>yE
<\ÿU<