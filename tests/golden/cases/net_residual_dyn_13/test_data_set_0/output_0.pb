
BoutputJ(ê¢A¿‚]9@BhÆøñpx@V˚@Ê>Ú¿+∏?R‡¿∞<∫¿DW@